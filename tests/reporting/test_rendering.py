"""The report's page: its figures, size, curves and missing records."""

import base64
import json
import re
import sys

import numpy as np
import pytest
import report_runs
from scipy import special

from kd_keras.data import datasets
from kd_keras.evaluation import metrics
from kd_keras.reporting import rendering
from kd_keras.training import stages
from kd_keras.utils import files


@pytest.mark.slow
def test_figures_of_the_page_equal_the_metrics(place, page):
    labels, logits = report_runs.predictions(place)
    text = report_runs.text_of(page)
    for role in stages.ALL:
        measured = metrics.measure(logits=logits[role], labels=labels)
        low, high = measured["accuracy_interval"]
        assert (
            f"{role} Keras {100 * measured['accuracy']:.2f} % "
            f"{100 * low:.2f} % to {100 * high:.2f} % "
            f"{measured['errors']} of 60 4,321 1.2 k" in text
        )
        assert f"{role} {100 * measured['ece']:.2f} %" in text
        assert f"{measured['nll']:.4f}, {measured['brier']:.4f}" in text
    versus = metrics.compare_with_teacher(
        logits=logits["student"],
        teacher_logits=logits["teacher"],
        labels=labels,
        temperature=report_runs.TEMPERATURE,
    )
    assert f"KL divergence {versus['kl']:.4f} nats" in text
    assert f"{versus['kl_softened']:.4f} at the training's T = 3" in text
    against = metrics.compare(
        logits=logits["student"],
        other_logits=logits["baseline"],
        labels=labels,
    )
    assert f"{100 * against['difference']:+.2f} points" in text
    assert f"p = {against['p_value']:.3g}" in text


@pytest.mark.slow
def test_the_page_is_known_as_this_program_s(page, tmp_path):
    for _ in range(2):
        files.write_output(tmp_path / "page.html", page, by="report")


@pytest.mark.slow
def test_a_teacher_without_files_has_no_size(report):
    teacher, *others = report["models"]
    rows = [teacher | {"bytes": None}, *others]
    text = report_runs.text_of(rendering.render(report | {"models": rows}))
    assert "smaller" not in text


@pytest.mark.slow
def test_an_export_has_its_interval_and_its_latency(page):
    text = report_runs.text_of(page)
    low, high = metrics.proportion_interval(60 - 41, 60)
    assert (
        f"student ONNX, float32 31.67 % {100 * low:.2f} % to "
        f"{100 * high:.2f} % 41 of 60 – –" in text
    )
    assert "1.25 ms 2.50 ms 800 1 thread 1,500 2 threads 77 MB" in text


@pytest.mark.slow
def test_an_export_that_was_compared_without_labels_has_no_accuracy(report):
    *models, exported = report["models"]
    without = {**exported, "errors": None}
    page = rendering.render({**report, "models": [*models, without]})
    assert "student ONNX, float32 – – – –" in report_runs.text_of(page)


@pytest.mark.slow
def test_the_page_is_one_small_file(page):
    assert len(page.encode()) < 1e6
    without_names = re.sub(r'xlink:href="#|http://127|http://www.w3', "", page)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', without_names)
    assert "http://" not in without_names and "https://" not in page


@pytest.mark.slow
def test_10_000_images_of_10_classes_fit_in_5_mb(report):
    rng = np.random.default_rng(0)
    # Noise, which PNG cannot compress.
    images = rng.integers(0, 256, (10_000, 32, 32, 3), np.uint8)
    labels = rng.integers(0, 10, 10_000)
    logits = {role: rng.normal(0, 9, (10_000, 10)) for role in stages.ALL}
    large = {
        **report,
        "classes": [f"class {i}" for i in range(10)],
        "examples": datasets.Examples(images, labels),
        "labels": labels,
        "logits": logits,
        "measured": {
            role: metrics.measure(logits=values, labels=labels)
            for role, values in logits.items()
        },
    }
    page = rendering.render(large)
    assert len(page.encode()) < 5e6
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    packed = data["logits"]["teacher"]
    steps = np.frombuffer(base64.b64decode(packed["steps"]), "<i2")
    np.testing.assert_allclose(
        special.softmax(packed["scale"] * steps.reshape(10_000, 10), -1),
        special.softmax(logits["teacher"], -1),
        atol=1e-3,
    )


@pytest.mark.slow
def test_curves_show_where_they_reach_the_mark(report, page):
    assert "Seconds are training time" in report_runs.text_of(page)
    assert "is first reached by" not in report_runs.text_of(page)
    marked = rendering.render({**report, "data": "cifar10"})
    text = report_runs.text_of(marked)
    assert "86 % is first reached by the student in epoch 3" in text
    assert "after 6 seconds" in text
    # The blog's 86 % is an accuracy, not comparable with agreement.
    agreeing = [
        {"epoch": i + 1, "seconds": 2.0, "agreement": 0.9} for i in range(3)
    ]
    curves = {**report["curves"], "student": agreeing}
    marked = rendering.render({**report, "data": "cifar10", "curves": curves})
    assert "is first reached by" not in report_runs.text_of(marked)
    without = rendering.render({**report, "curves": {}})
    text = report_runs.text_of(without)
    assert "No metrics.jsonl of student or baseline found" in text


@pytest.mark.slow
def test_the_training_is_described_only_if_it_is_on_record(report, page):
    described = ("without labels", "the training's T = 3", "training's 3")
    assert all(words in report_runs.text_of(page) for words in described)
    text = report_runs.text_of(rendering.render({**report, "recorded": False}))
    assert not any(words in text for words in described)
    assert "its training is not on record" in text


@pytest.mark.slow
def test_the_page_tells_how_many_labels_the_baseline_had(report, page):
    count = len(report_runs.CLASSES)
    assert f"network trained on {count} labels." in report_runs.text_of(page)
    page = rendering.render({**report, "baseline_labels": 0})
    assert "network trained on labels." in report_runs.text_of(page)


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ValueError, match=r"jinja2.*\[report\]"):
        rendering.check_packages()


@pytest.mark.slow
def test_names_from_outside_are_text_in_the_page(report):
    evil = "</script><script>alert('evil')</script>"
    names = [f"{evil}{name}" for name in report["classes"]]
    page = rendering.render(report | {"classes": names, "name": evil})
    assert "<script>alert" not in page and "</script><script>" not in page
    assert "&lt;script&gt;alert(" in page

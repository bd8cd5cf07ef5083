"""Results that are no better than chance are reported as worthless."""

import json
import logging
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from stage_runs import small_config

from kd_keras.data import augmentation, datasets
from kd_keras.teachers import answers, wrapping
from kd_keras.training import outcome

NUM_CLASSES = 4


def examples(*, labelled=True):
    """200 images of one brightness a class."""
    labels = np.arange(200) % NUM_CLASSES
    images = np.broadcast_to(labels.reshape(-1, 1, 1, 1) * 60, (200, 4, 4, 1))
    return datasets.Examples(
        images.astype("uint8"),
        labels if labelled else None,
        num_classes=NUM_CLASSES,
    )


def network(*, slope=1.0, bias=0.0):
    """Scores of the classes: right for slope 1, else of class 0 alone."""
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Rescaling(slope / 60)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    last = keras.layers.Dense(NUM_CLASSES)
    model = keras.Model(inputs, last(x))
    # -(x - c)^2 / 2 without its part of x alone.
    classes = np.arange(NUM_CLASSES)
    last.set_weights([classes[np.newaxis], -(classes**2) / 2 + bias])
    return model


def warnings(model, *, teacher=None, **parts):
    stage = SimpleNamespace(
        parts=parts,
        train=parts["train"],
        view_spec=augmentation.ViewSpec(seed=0),
        answers=teacher
        and answers.LiveAnswers(
            lambda: wrapping.as_teacher(teacher), record={}
        ),
    )
    return outcome.warnings(stage, model)


def test_a_good_model_has_no_warning():
    assert warnings(network(), train=examples()) == {}
    unlabelled = examples(labelled=False)
    assert warnings(network(), train=unlabelled, teacher=network()) == {}


def test_a_constant_model_is_no_better_than_chance():
    parts = {"train": examples(), "test": examples()}
    assert warnings(network(slope=0.0), **parts) == {
        "warning": "The model is no better than chance: 50 of 200 test images "
        "right, and class 0 for all of them; by chance it would be 50."
    }
    del parts["test"]
    found = warnings(network(slope=0.0), validation=examples(), **parts)
    assert "50 of 200 validation images" in found["warning"]


def test_without_labels_a_student_is_compared_with_its_teacher():
    found = warnings(
        network(slope=0.0), train=examples(labelled=False), teacher=network()
    )
    assert "50 of 200 training images predicted as by" in found["warning"]


def test_logits_that_are_not_finite_are_said():
    model = network(bias=[0, 0, np.nan, 0])
    found = warnings(model, train=examples(), test=examples())
    assert "NaN or infinite for 200 of 200 test images" in found["warning"]


@pytest.mark.slow
def test_a_worthless_result_is_recorded_and_said_again(
    run, tmp_path, caplog, small_mnist
):
    test = small_mnist.test
    shuffled = np.random.default_rng(0).permutation(test.labels)
    dataset = datasets.Dataset(
        name="mnist",
        train=small_mnist.train,
        test=datasets.Examples(test.images, shuffled, num_classes=10),
        source="here",
    )
    options = {
        "config": small_config(**{"teacher.epochs": 1}),
        "dataset": dataset,
    }
    with caplog.at_level(logging.WARNING, logger="kd_keras"):
        reports = run("teacher", **options)
        assert run("teacher", **options) == reports
    (warning,) = {report["warning"] for report in reports}
    assert warning.startswith("The model is no better than chance: ")
    assert caplog.messages.count(f"teacher: {warning}") == 2
    folder = tmp_path / "work" / "teacher"
    recorded = json.loads((folder / "report.json").read_text())
    assert recorded["warning"] == warning
    card = (tmp_path / "models/small_teacher/model_card.md").read_text()
    assert f"**Not for use.** {warning}" in card
    with pytest.raises(ValueError, match="chance. Received: teacher: The mod"):
        outcome.check(reports)


def test_good_results_pass():
    outcome.check([{"stage": "teacher"}, {"stage": "student"}])

"""Running the experiments with few labels: once each, and resumed."""

import dataclasses
import shutil

import keras
import pytest
import tensorflow as tf

from experiments.few_labels import (
    backbone,
    catalogue,
    measures,
    relabelling,
    runner,
)
from kd_keras.data import datasets

# Changed fields of all runs, on MNIST, so that they take seconds, not hours.
TINY = {
    "data.labels_per_class": 3,
    "data.augment.mirror": "none",
    "teacher.image_size": 0,
    "student.model": "mlp",
    "student.widths": (16,),
    "student.epochs": 1,
    "student.batch_size": 20,
    "student.optimizer.name": "adamw",
    "student.optimizer.warmup_epochs": 0.0,
    "baseline.optimizer.name": "adamw",
    "baseline.optimizer.warmup_epochs": 0.0,
}


def embed(images):
    """The means of 4 x 4 pixels: a teacher without classes."""
    means = tf.nn.avg_pool2d(tf.cast(images, tf.float32) / 255, 4, 4, "VALID")
    return tf.reshape(means, (-1, 49))


embed.image_shape = (28, 28, 1)


def set_embedder(monkeypatch):
    monkeypatch.setattr(backbone, "export", lambda folder: f"{__name__}:embed")


def tiny_lab(folder, dataset):
    return runner.Lab(
        workdir=folder / "work",
        results_path=folder / "few_labels.jsonl",
        changes=TINY,
        dataset=dataset,
    )


@pytest.fixture(scope="module")
def trained(small_mnist, tmp_path_factory):
    """Directory of a lab with a probe and the student that learned from it."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_embedder(monkeypatch)
        lab = tiny_lab(folder, small_mnist)
        lab.trained(catalogue.EXPERIMENTS["soft_50"], 1)
    return folder


@pytest.fixture
def copied(trained, tmp_path, monkeypatch):
    set_embedder(monkeypatch)
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)


@pytest.mark.slow
def test_a_student_learns_from_few_labels_and_is_not_trained_again(
    small_mnist, tmp_path, copied, monkeypatch, caplog
):
    caplog.set_level("INFO")

    def make_lab():
        return tiny_lab(tmp_path, small_mnist)

    experiment = catalogue.EXPERIMENTS["soft_50"]
    lab = make_lab()
    lab.run([experiment], [1])
    lines = {line["experiment"]: line for line in lab.lines}
    assert lines.keys() == {"soft_50", "baseline_50"}
    assert "1 of 1: soft_50, seed 1" in caplog.text
    assert "about 0 minutes left" in caplog.text
    soft = lines["soft_50"]
    assert soft["seed"] == 1 and soft["parameters"] == 12_730
    assert soft["errors"] == round(300 * (1 - soft["accuracy"]))
    low, high = soft["accuracy_interval"]
    assert low < soft["accuracy"] < high
    compared = soft["against_baseline"]
    baseline = lines["baseline_50"]["accuracy"]
    assert compared["difference"] == pytest.approx(soft["accuracy"] - baseline)
    # The student is right on some images where the baseline is wrong.
    assert compared["only_right"] and compared["p_value"] <= 1
    probe = lab.result(catalogue.EXPERIMENTS["probe_50"], 1)
    assert probe["probe"]["labels"] == 30
    report = lab.run_dir(catalogue.EXPERIMENTS["probe_50"], 1).report()
    # The stored embeddings give what the stage has measured.
    assert probe["errors"] == report["test_errors"]

    # Neither a result nor a finished run is made again.
    with monkeypatch.context() as patch:
        patch.setattr(measures, "measure", None)
        assert make_lab().result(experiment, 1) == soft
    monkeypatch.setattr(keras.Model, "fit", None)
    (tmp_path / "few_labels.jsonl").unlink()
    assert make_lab().result(experiment, 1) == soft


@pytest.mark.slow
def test_a_second_probe_learns_the_labels_that_a_student_predicts(
    small_mnist, tmp_path, copied, monkeypatch
):
    def predicted(dataset, network, *, spec, views):
        assert network(dataset.train.images[:5]).shape == (5, 10)
        assert spec.translate and views == 6
        train = dataset.train
        others = datasets.Examples(
            train.reader, (train.labels + 1) % 10, ids=train.ids
        )
        return dataclasses.replace(dataset, train=others)

    monkeypatch.setattr(relabelling, "relabelled", predicted)
    lab = tiny_lab(tmp_path, small_mnist)
    errors = [
        lab.trained(catalogue.EXPERIMENTS[name], 1).report()["test_errors"]
        for name in ("probe_50", "probe2_50")
    ]
    assert errors[0] < 210 and errors[1] > 255  # of 300

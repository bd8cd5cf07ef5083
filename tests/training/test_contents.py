"""Runs notice that their data, their teacher or their code has changed."""

import importlib
import logging
import sys

import keras
import numpy as np
import pytest
from stage_runs import small_config

from kd_keras.data import datasets
from kd_keras.deployment import saved_model
from kd_keras.training import runs

pytestmark = pytest.mark.slow

NETWORK = """
import keras

def build(image_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(image_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(num_classes),
        ]
    )
"""
MODULE = "network_of_a_test"


def make_dataset(change=None):
    """A dataset of 8 x 8 images; `change` is applied to its arrays."""
    generator = np.random.default_rng(0)
    arrays = {"train": [], "test": []}
    for part, count in (("train", 40), ("test", 20)):
        images = generator.integers(0, 256, (count, 8, 8, 1), np.uint8)
        arrays[part] = [images, np.arange(count) % 4]
    if change:
        change(arrays)
    train, test = (
        datasets.Examples(*arrays[part], num_classes=4) for part in arrays
    )
    return datasets.Dataset(name="x", train=train, test=test, source="here")


def write_teacher(folder, *, scale):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Dense(4)(keras.layers.Flatten()(inputs))
    network = keras.Model(inputs, keras.layers.Rescaling(scale)(x))
    saved_model.export_saved_model(network, folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a teacher, and a module of a network on the path."""
    folder = tmp_path_factory.mktemp("contents")
    write_teacher(folder / "first", scale=1.0)
    (folder / f"{MODULE}.py").write_text(NETWORK)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def run(place):
    """Runs a stage again: the module's first teacher and student exist."""

    def run(stage, *, dataset=None, **fields):
        config = small_config(
            **{
                "data.validation_examples": 10,
                "teacher.path": str(place / "first"),
                "teacher.widths": (),
                "teacher.model": f"{MODULE}:build",
                "student.model": f"{MODULE}:build",
                "teacher.epochs": 1,
                "student.epochs": 1,
                "teacher.batch_size": 15,
                "student.batch_size": 15,
                **fields,
            }
        )
        (report,) = runs.run(
            config,
            stages=[stage],
            workdir=place / "work",
            savedmodels=place / "models",
            dataset=dataset or make_dataset(),
        )
        return report

    run("teacher")
    run("student")
    return run


@pytest.fixture(autouse=True)
def no_training(run, monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", None)


@pytest.mark.parametrize("stage", ["teacher", "student"])
@pytest.mark.parametrize(
    ("part", "index", "name"),
    [
        ("train", 0, "data.train.fingerprint"),
        ("train", 1, "data.train.labels"),
        ("test", 0, "data.test.fingerprint"),
        ("test", 1, "data.test.labels"),
    ],
)
def test_a_changed_image_or_label_is_noticed(run, stage, part, index, name):
    def swap(arrays):
        array = arrays[part][index]
        array[[0, 1]] = array[[1, 0]]

    with pytest.raises(ValueError, match=f"{name} .was '.*', is '.*; here"):
        run(stage, dataset=make_dataset(swap))


def test_an_added_image_is_noticed_and_counted(run):
    def add(arrays):
        arrays["test"][:] = [np.concatenate([a, a[:1]]) for a in arrays["test"]]

    with pytest.raises(ValueError, match=r"test.examples \(was 20, is 21"):
        run("student", dataset=make_dataset(add))


def test_the_same_data_at_another_place_are_the_same(run):
    report = run("student", **{"data.data_dir": "elsewhere"})
    assert report == run("student")


def test_a_teacher_with_the_same_weights_and_other_logits_is_noticed(
    run, place
):
    write_teacher(place / "again", scale=1.0)
    run("student", **{"teacher.path": str(place / "again")})
    write_teacher(place / "other", scale=-5.0)
    with pytest.raises(ValueError) as caught:
        run("student", **{"teacher.path": str(place / "other")})
    assert "Differing: teacher.graph (was" in str(caught.value)
    assert f"; {place / 'other'})" in str(caught.value)


def test_an_edited_network_is_noticed(run, place):
    path = place / f"{MODULE}.py"
    path.write_text(NETWORK.replace("Flatten()", "Flatten(), keras.layers.Re"))
    try:
        for stage in ("teacher", "student"):
            with pytest.raises(
                ValueError, match=f"the code of {MODULE}:build has changed"
            ):
                run(stage)
    finally:
        path.write_text(NETWORK)


def test_nothing_is_said_of_a_run_that_can_be_compared(run, caplog):
    with caplog.at_level(logging.WARNING):
        run("student")
    assert not [m for m in caplog.messages if "compared" in m]

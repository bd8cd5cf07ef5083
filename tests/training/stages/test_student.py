"""The student stage: labels, losses, several teachers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from stage_runs import (
    export_dummy_teacher,
    small_config,
    store_config,
    weights_of,
)

from kd_keras.teachers import fingerprint
from kd_keras.training import runs


@pytest.mark.slow
def test_the_training_data_has_no_labels_without_a_hard_loss(
    run, monkeypatch, taught
):
    seen = []
    fit = keras.Model.fit

    def spy(self, x, *args, **options):
        seen.append(x.element_spec)
        return fit(self, x, *args, **options)

    monkeypatch.setattr(keras.Model, "fit", spy)
    run("student")
    assert isinstance(seen[0], tf.TensorSpec)
    run(
        "student",
        workdir="hard",
        config=small_config(**{"distill.hard_loss_weight": 0.1}),
    )
    assert len(seen[1]) == 2


@pytest.fixture(scope="module")
def plain_weights(trained_teacher, small_mnist, tmp_path_factory):
    """Weights of a student that learned in the paper's way."""
    folder = tmp_path_factory.mktemp("plain")
    teacher = {"teacher.path": str(trained_teacher), "student.epochs": 2}
    runs.run(
        store_config("", **teacher),
        stages=["student"],
        workdir=folder,
        savedmodels=folder,
        dataset=small_mnist,
    )
    return weights_of(folder / "student" / "student.keras")


@pytest.fixture(scope="module")
def store(trained_teacher, small_mnist, tmp_path_factory):
    """Path of the store of all ways that see the same views."""
    path, _ = runs.label(
        store_config(**{"teacher.path": str(trained_teacher)}),
        workdir=tmp_path_factory.mktemp("store"),
        savedmodels="none",
        dataset=small_mnist,
    )
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        {"distill.loss": "dkd", "distill.dkd.beta": 2.0},
        {"distill.loss": "dist"},
        {"distill.loss": "mse"},
        {"distill.standardize": True},
        {"distill.final_temperature": 1.0},
        {"distill.final_hard_loss_weight": 1.0},
        {
            "data.augment.crop_scale": (0.5, 1.0),
            "data.augment.erasing": 0.5,
            "data.cutmix": 0.5,
        },
    ],
)
def test_every_way_to_distil_works_live_and_stored(
    run, tmp_path, taught, plain_weights, store, overrides
):
    options = {"student.epochs": 2, **overrides}
    path = "auto" if "data.cutmix" in overrides else store
    run("student", config=store_config("", **options), workdir="live")
    run("student", config=store_config(path, **options), workdir="stored")
    live, stored = (
        weights_of(tmp_path / name / "student" / "student.keras")
        for name in ("live", "stored")
    )
    for a, b in zip(live, stored):
        np.testing.assert_allclose(a, b, atol=1e-4)
    # And it is not the plain way.
    assert not np.allclose(live[0], plain_weights[0], atol=1e-4)


@pytest.mark.slow
def test_several_teachers_are_an_ensemble(run, tmp_path, taught, caplog):
    paths = [
        str(tmp_path / "models" / f"{n}_teacher") for n in ("small", "second")
    ]
    export_dummy_teacher(paths[1])
    both = ",".join(paths)
    caplog.set_level("INFO")

    def student(name, **overrides):
        options = {"student.epochs": 2, "data.validation_examples": 100}
        run(
            "student",
            config=small_config(**{**options, **overrides}),
            workdir=name,
        )
        return weights_of(tmp_path / name / "student" / "student.keras")

    options = {
        "teacher.path": both,
        "teacher.mean": "geometric",
        "teacher.mirrored": True,
        "teacher.weights": (1.0, 3.0),
    }
    live = student("live", **options)
    stored = student(
        "stored",
        **{**options, "store.path": "auto", "store.dtype": "float32"},
    )
    for a, b in zip(live, stored):
        np.testing.assert_allclose(a, b, atol=1e-5)
    # Each teacher's weights, not only the first teacher's.
    numbers = " ".join(fingerprint.fingerprint(p)[:12] + "..." for p in paths)
    assert f", weights {numbers}" in caplog.text
    assert f" views, teacher {numbers}" in caplog.text
    first = student("first", **{"teacher.path": paths[0]})
    assert not np.allclose(live[0], first[0], atol=1e-5)
    # The order of the weights is part of the teacher's identity.
    with pytest.raises(ValueError, match=r"teacher\.weights"):
        student("live", **{**options, "teacher.weights": (3.0, 1.0)})

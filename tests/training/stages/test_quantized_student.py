"""Students and baselines that are trained as their int8 model computes."""

import keras
import numpy as np
import pytest
from stage_runs import (
    Interrupted,
    export_dummy_teacher,
    interrupt_after_epochs,
    same_bits,
    small_config,
)

from kd_keras.deployment import exporting
from kd_keras.training import prepare
from kd_keras.training.stages import stage_class


@pytest.fixture(scope="module")
def weights(tmp_path_factory, small_mnist):
    """The student's network in a file."""
    path = tmp_path_factory.mktemp("weights")
    stage = make_stage(small_config(), small_mnist, path)
    stage.build(10).save(path / "float.keras")
    return path / "float.keras"


def make_stage(config, dataset, path, name="baseline"):
    context = prepare.prepare(
        config, workdir=path, savedmodels=path, dataset=dataset
    )
    return stage_class(name)(context)


def quantized_config(weights, **overrides):
    return small_config(
        **{
            "student.weights": str(weights),
            "student.quantize": "int8",
            "data.max_train_examples": 128,
            **overrides,
        }
    )


@pytest.mark.slow
def test_it_starts_from_a_whole_trained_network(small_mnist, tmp_path, weights):
    with pytest.raises(ValueError, match="student.weights must be.*quantize"):
        make_stage(quantized_config(""), small_mnist, tmp_path)
    stage = make_stage(quantized_config(weights), small_mnist, tmp_path)
    images = small_mnist.test.images[:50].astype("float32")
    expected = keras.models.load_model(weights).predict(images, verbose=0)
    network = stage.build(10)
    network(images, training=True)
    logits = network(images, training=False)
    np.testing.assert_allclose(
        logits, expected, atol=0.1 * np.abs(expected).max()
    )
    # Another number of classes: the last layer is not in the file.
    with pytest.raises(ValueError, match="every layer.*not loaded: logits"):
        stage.build(7)


@pytest.mark.slow
def test_what_is_exported_is_what_was_trained(
    run, tmp_path, weights, monkeypatch, small_mnist
):
    export_dummy_teacher(tmp_path / "teacher")
    config = quantized_config(
        weights, **{"teacher.path": str(tmp_path / "teacher")}
    )
    run("student", config=config, workdir="whole")
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt_after_epochs(patch, 1)
        run("student", config=config, workdir="resumed")
    run("student", config=config, workdir="resumed")
    whole = tmp_path / "whole/student/student.keras"
    assert same_bits(whole, tmp_path / "resumed/student/student.keras")
    card = (tmp_path / "models/small_student/model_card.md").read_text()
    assert "with the rounding of its int8 model" in card
    for model in (whole, tmp_path / "models/small_student"):
        _, *rows = exporting.export(
            model,
            formats=["litert", "litert_int8"],
            output=tmp_path / f"edge_{model.name}",
            data=small_mnist,
        )
        assert all(row["agreement"] >= 0.98 for row in rows)
        card = (tmp_path / f"edge_{model.name}/model_card.md").read_text()
        assert "int8 models have its ranges" in card

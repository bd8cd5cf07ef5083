"""A student that matches features of its teacher, beside logits or alone."""

import json

import keras
import numpy as np
import pytest
from stage_runs import store_config, weights_of


@pytest.fixture(scope="module")
def teacher_path(small_mnist, tmp_path_factory):
    """A `.keras` file of a network that knows a bit about digits."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(6, 5, strides=3, activation="relu", name="map"),
            keras.layers.Flatten(),
            keras.layers.Dense(12, "relu", name="embedding"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(0.01), loss)
    train = small_mnist.train
    network.fit(train.images, train.labels, epochs=3, verbose=0)
    path = tmp_path_factory.mktemp("features") / "teacher.keras"
    network.save(path)
    return path


def embeddings_only(path, teacher_path):
    """Writes the teacher without its classifier."""
    network = keras.models.load_model(teacher_path)
    embedding = keras.Model(
        network.inputs, network.get_layer("embedding").output
    )
    embedding.save(path)
    return {
        "teacher.path": str(path),
        "teacher.outputs": "features",
        "distill.features.loss": "cosine",
    }


@pytest.mark.slow
def test_features_teach_beside_logits_live_and_stored(
    run, tmp_path, teacher_path
):
    options = {
        "teacher.path": str(teacher_path),
        "distill.features.loss": "mse",
        "distill.features.teacher": "embedding, map",
        "distill.features.student": ", stem",
        "distill.features.projection": "orthogonal",
    }
    run("student", config=store_config("", **options), workdir="live")
    run("student", config=store_config("auto", **options), workdir="stored")
    live, stored = (
        weights_of(tmp_path / name / "student" / "student.keras")
        for name in ("live", "stored")
    )
    for a, b in zip(live, stored, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    lines = (tmp_path / "live" / "student" / "metrics.jsonl").read_text()
    last = json.loads(lines.splitlines()[-1])
    total = last["soft_loss"] + last["feature_loss"]
    assert last["loss"] == pytest.approx(total, rel=1e-4)
    report = json.loads(
        (tmp_path / "live" / "student" / "report.json").read_text()
    )
    assert report["test_errors"] is not None

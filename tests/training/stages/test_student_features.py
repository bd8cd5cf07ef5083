"""A student that matches features of its teacher, beside logits or alone."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from stage_runs import small_config, store_config, weights_of


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
@pytest.mark.parametrize("mirrored", [False, True])
def test_features_teach_beside_logits_live_and_stored(
    run, tmp_path, teacher_path, mirrored
):
    options = {
        "teacher.path": str(teacher_path),
        "teacher.mirrored": mirrored,
        "student.epochs": 2,
        "distill.features.loss": "mse",
        "distill.features.teacher": "embedding, map",
        "distill.features.student": ", conv2d",
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


@pytest.mark.slow
def test_the_teacher_of_the_teacher_stage_has_features(run, tmp_path, taught):
    config = small_config(
        **{"distill.features.loss": "cosine", "student.epochs": 1}
    )
    (report,) = run("student", config=config)
    assert report["test_errors"] is not None
    lines = (tmp_path / "work" / "student" / "metrics.jsonl").read_text()
    assert json.loads(lines)["feature_loss"] > 0
    teacher, student = (
        (tmp_path / f"models/small_{stage}/model_card.md").read_text()
        for stage in ("teacher", "student")
    )
    assert "Output: `features`, `logits` and `probabilities`, fl" in teacher
    assert "Output: `logits` and `probabilities`, float32" in student


@pytest.mark.slow
def test_embeddings_alone_teach_a_network_without_a_classifier(
    run, tmp_path, teacher_path, small_mnist
):
    options = {
        **embeddings_only(tmp_path / "embedding.keras", teacher_path),
        "student.epochs": 2,
    }
    (live,) = run("student", config=store_config("", **options), workdir="live")
    run("student", config=store_config("auto", **options), workdir="stored")
    folder = tmp_path / "live" / "student"
    stored = tmp_path / "stored" / "student" / "student.keras"
    for a, b in zip(
        weights_of(folder / "student.keras"), weights_of(stored), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert live["outputs"] == "features" and live["test_errors"] is None
    network = keras.models.load_model(folder / "student.keras")
    assert live["parameters"] == network.count_params()
    exported = tmp_path / "models" / "small_student"
    card = (exported / "model_card.md").read_text()
    assert "Output: `features`, float32" in card
    served = tf.saved_model.load(str(exported))
    images = small_mnist.test.images[:7]
    found = served.signatures["serving_default"](images=tf.constant(images))
    (features,) = found.values()
    assert features.shape == (7, network.output_shape[-1])
    np.testing.assert_allclose(features, network(images), atol=1e-4)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    assert last["feature_loss"] < first["feature_loss"]
    assert not {"agreement", "soft_loss", "accuracy"} & set(last)


@pytest.mark.slow
def test_embeddings_without_a_loss_on_features_are_refused(
    run, tmp_path, teacher_path
):
    options = embeddings_only(tmp_path / "embedding.keras", teacher_path)
    del options["distill.features.loss"]
    with pytest.raises(ValueError, match="needs distill.features.loss"):
        run("student", config=small_config(**options))
    options["distill.features.loss"] = "cosine"
    options["distill.hard_loss_weight"] = 1.0
    with pytest.raises(ValueError, match="hard_loss_weight must be 0 with"):
        run("student", config=small_config(**options))
    assert not (tmp_path / "work").exists()

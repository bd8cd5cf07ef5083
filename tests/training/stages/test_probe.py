"""The teacher stage with a backbone, and students of its result."""

import json

import keras
import numpy as np
import pytest
from stage_runs import small_config

from kd_keras import load_teacher


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A `.keras` file whose last features tell digits apart."""
    path = tmp_path_factory.mktemp("backbone") / "features.keras"
    keras.utils.set_random_seed(0)
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.AveragePooling2D(2)(x)
    x = keras.layers.Dense(48, "relu", name="embedding")(
        keras.layers.Flatten()(x)
    )
    # A classifier of other classes, as one of ImageNet.
    keras.Model(inputs, keras.layers.Dense(3)(x)).save(path)
    return path


def probe_config(backbone, **overrides):
    return small_config(
        **{
            "data.labels_per_class": 20,
            "data.augment.translate": 0,
            "teacher.backbone": str(backbone),
            "student.epochs": 1,
            **overrides,
        }
    )


def report_of(path):
    return json.loads((path / "report.json").read_text())


def test_a_head_is_fitted_and_is_a_teacher(
    run, backbone, tmp_path, small_mnist
):
    config = probe_config(backbone)
    (report,) = run("teacher", config=config)
    assert report["probe"]["chosen_by"] == "validation"
    assert report["probe"]["labels"] == 200
    assert report["probe"]["accuracy"] > 0.6 and report["test_accuracy"] > 0.6
    exported = tmp_path / "models/small_teacher"
    card = (exported / "model_card.md").read_text()
    assert "logistic regression" in card and str(backbone) in card
    # The exported teacher computes the head of the backbone's features.
    teacher = load_teacher(exported, features=("",))
    images = small_mnist.test.images[:7].astype("float32")
    model = keras.models.load_model(backbone)
    features = keras.Model(model.inputs, model.get_layer("embedding").output)(
        images
    )
    head = keras.models.load_model(tmp_path / "work/teacher/teacher.keras")
    answer = teacher.outputs(images)
    np.testing.assert_allclose(answer.logits, head(features), atol=1e-4)
    np.testing.assert_allclose(answer.features[0], features, atol=1e-6)
    labels = small_mnist.test.labels
    errors = np.sum(np.argmax(teacher(small_mnist.test.images), -1) != labels)
    assert errors == report["test_errors"]
    # Finished, it is neither fitted nor written again.
    before = (exported / "head.npz").stat().st_mtime_ns
    assert run("teacher", config=config) == [report]
    assert (exported / "head.npz").stat().st_mtime_ns == before
    (exported / "head.npz").unlink()
    run("teacher", config=config)
    assert load_teacher(exported).num_classes == 10
    (student,) = run("student", config=config)
    assert student["agreement"] > 0.15

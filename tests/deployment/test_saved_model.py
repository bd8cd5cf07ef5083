"""The SavedModel equals the student and needs TensorFlow alone."""

import subprocess
import sys

import keras
import nets
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

import kd_keras
from kd_keras.data import python_ops
from kd_keras.deployment import saved_model as exports


@pytest.fixture(scope="module")
def distilled(tmp_path_factory):
    """A student after some training, and the path of its export."""
    keras.utils.set_random_seed(0)
    student = nets.make_network(batch_norm=True, dropout=0.2)
    distiller = kd_keras.Distiller(student, nets.make_network(units=64))
    distiller.compile()
    distiller.fit(nets.make_images(), epochs=3, verbose=0)
    path = tmp_path_factory.mktemp("export") / "student"
    exports.export_saved_model(student, path)
    return student, path


@pytest.mark.parametrize("batch", [1, 7])
def test_the_reloaded_model_equals_the_student(distilled, batch):
    student, path = distilled
    loaded = tf.saved_model.load(str(path))
    images = nets.make_images(batch).astype("uint8")
    outputs = loaded.signatures["serving_default"](images=tf.constant(images))
    expected = student.predict(images, verbose=0)
    assert set(outputs) == {"logits", "probabilities"}
    assert all(value.dtype == tf.float32 for value in outputs.values())
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-5)
    np.testing.assert_allclose(
        outputs["probabilities"], tf.nn.softmax(expected), atol=1e-5
    )


def test_a_teacher_also_returns_its_last_features(tmp_path):
    network = nets.make_network(batch_norm=True)
    exports.write_saved_model(network, tmp_path, with_features=True)
    images = nets.make_images(5)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["float_images"]
    outputs = loaded(images=tf.constant(images))
    assert set(outputs) == {"logits", "probabilities", "features"}
    expected = keras.Model(network.input, network.layers[-1].input)(images)
    np.testing.assert_allclose(outputs["features"], expected, atol=1e-5)
    np.testing.assert_allclose(outputs["logits"], network(images), atol=1e-5)


def test_a_network_without_one_last_layer_is_exported_without_features(
    tmp_path,
):
    inputs = keras.Input(nets.IMAGE_SHAPE)
    x = keras.layers.Flatten()(inputs)
    logits = keras.layers.Dense(3)(x) + keras.layers.Dense(3)(x)
    network = keras.Model(inputs, logits)
    exports.write_saved_model(network, tmp_path, with_features=True)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["float_images"]
    assert set(loaded.structured_outputs) == {"logits", "probabilities"}


def test_it_takes_uint8_images_in_batches_of_any_size(distilled):
    _, path = distilled
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    ((name, spec),) = signature.structured_input_signature[1].items()
    assert name == "images" and spec.dtype == tf.uint8
    assert spec.shape.as_list() == [None, *nets.IMAGE_SHAPE]


def test_it_has_only_the_student_s_variables(distilled):
    student, path = distilled
    stored = [
        shape
        for name, shape in tf.train.list_variables(
            str(path / "variables/variables")
        )
        if "VARIABLE_VALUE" in name
    ]
    expected = [list(weight.shape) for weight in student.weights]
    assert sorted(stored) == sorted(expected)


@pytest.mark.slow
def test_it_loads_without_kd_keras(distilled, tmp_path):
    _, path = distilled
    code = f"""
import sys
sys.modules["kd_keras"] = sys.modules["keras"] = None  # cannot be imported
import tensorflow as tf
model = tf.saved_model.load({str(path)!r})
images = tf.zeros((2, *{nets.IMAGE_SHAPE}), tf.uint8)
print(model.signatures["serving_default"](images=images)["logits"].shape)
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout.strip() == f"(2, {nets.NUM_CLASSES})", result.stderr


@pytest.mark.slow
def test_an_export_replaces_an_older_one(distilled, tmp_path):
    student, _ = distilled
    other = nets.make_network()
    exports.export_saved_model(other, tmp_path / "model")
    exports.export_saved_model(student, tmp_path / "model")
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    images = nets.make_images(2).astype("uint8")
    logits = loaded.signatures["serving_default"](images=tf.constant(images))
    np.testing.assert_allclose(
        logits["logits"], student.predict(images, verbose=0), atol=1e-5
    )
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("num_logits", "activation", "function"),
    [
        (1, None, scipy.special.expit),
        (3, "sigmoid", scipy.special.expit),
        (3, None, lambda z: scipy.special.softmax(z, axis=-1)),
    ],
)
def test_probabilities_are_of_the_activation(
    tmp_path, num_logits, activation, function
):
    network = nets.make_network(num_classes=num_logits)
    path = tmp_path / "model"
    exports.export_saved_model(network, path, activation=activation)
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    outputs = serve(images=tf.constant(nets.make_images(9).astype("uint8")))
    expected = function(outputs["logits"].numpy())
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)


def test_probabilities_are_not_exported_as_logits(tmp_path):
    network = nets.make_network()
    ends_in_softmax = keras.Sequential([network, keras.layers.Softmax()])
    with pytest.raises(ValueError, match="must return logits.*softmax"):
        exports.export_saved_model(ends_in_softmax, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_a_function_is_written_if_tensorflow_can_save_it(tmp_path):
    network = nets.make_network()

    def serve(images):
        return {"logits": network(images), "double": 2 * network(images)}

    assert exports.write_function(
        serve, tmp_path / "whole", image_shape=nets.IMAGE_SHAPE
    )
    loaded = tf.saved_model.load(str(tmp_path / "whole"))
    images = nets.make_images(3)
    for name, values in [
        ("serving_default", tf.cast(images, tf.uint8)),
        ("float_images", tf.constant(images)),
    ]:
        outputs = loaded.signatures[name](images=values)
        np.testing.assert_allclose(outputs["logits"], network(images), 1e-5)
        np.testing.assert_allclose(outputs["double"], 2 * network(images), 1e-5)

    @tf.function
    def in_python(images):
        return python_ops.numpy_function(
            lambda images: images.mean(axis=(1, 2)), [images], tf.float32
        )

    assert not exports.write_function(
        lambda images: {"logits": in_python(images)},
        tmp_path / "part",
        image_shape=nets.IMAGE_SHAPE,
    )
    assert not (tmp_path / "part").exists()

"""Teachers from `.keras` files."""

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras


@pytest.fixture
def network():
    return nets.make_network()


def test_a_keras_file_has_the_network_s_logits(network, tmp_path):
    images = nets.make_images(8)
    network.save(tmp_path / "teacher.keras")
    teacher = kd_keras.load_teacher(str(tmp_path / "teacher.keras"))
    np.testing.assert_allclose(
        teacher(images), network.predict(images, verbose=0), atol=1e-6
    )


def test_probabilities_become_logits(network, tmp_path):
    images = nets.make_images(8)
    softmax = keras.Sequential([network, keras.layers.Softmax()])
    softmax.build((None, *nets.IMAGE_SHAPE))
    softmax.save(tmp_path / "softmax.keras")
    teacher = kd_keras.load_teacher(
        tmp_path / "softmax.keras", outputs="probabilities"
    )
    np.testing.assert_allclose(
        tf.nn.softmax(teacher(images)),
        softmax.predict(images, verbose=0),
        atol=1e-5,
    )


def test_an_output_has_no_name(network, tmp_path):
    network.save(tmp_path / "teacher.keras")
    with pytest.raises(ValueError, match="outputs must be .*'scores'"):
        kd_keras.load_teacher(tmp_path / "teacher.keras", outputs="scores")


def test_the_output_of_a_keras_file_is_chosen_by_name(tmp_path):
    inputs = keras.Input(nets.IMAGE_SHAPE)
    flat = keras.layers.Flatten()(inputs)
    outputs = {"flat": flat, "scores": keras.layers.Dense(3)(flat)}
    path = tmp_path / "heads.keras"
    keras.Model(inputs, outputs).save(path)
    teacher = kd_keras.load_teacher(path, outputs="scores")
    assert teacher.num_classes == 3
    assert teacher(nets.make_images(2)).shape == (2, 3)
    with pytest.raises(ValueError, match=r"outputs must .*'scores' .*heads"):
        kd_keras.load_teacher(path)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.Lambda(lambda x: x * 2), "no Python code"),
        (type("Own", (keras.layers.Layer,), {}), "--import=MODULE.* 'Own'"),
    ],
)
def test_layers_that_cannot_be_loaded_are_named(layer, message, tmp_path):
    layer = layer() if isinstance(layer, type) else layer
    network = keras.Sequential(
        [keras.Input((2, 2, 1)), layer, keras.layers.Flatten()]
    )
    network.save(tmp_path / "own.keras")
    with pytest.raises(ValueError, match=message) as caught:
        kd_keras.load_teacher(tmp_path / "own.keras")
    assert "\n" not in str(caught.value)

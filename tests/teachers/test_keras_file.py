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

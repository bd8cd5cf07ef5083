"""Resizing inside a model, as TensorFlow resizes images."""

import keras
import nets
import numpy as np
import pytest
import shipped
import tensorflow as tf

from kd_keras.models import build, first_layer, interface, macs, resizing


@pytest.fixture(scope="module")
def photos():
    return shipped.cifar10_test().images[:8]


@pytest.mark.parametrize("size", [(20, 20), (16, 24), (40, 50), (32, 9)])
def test_images_are_resized_as_by_tensorflow(photos, size):
    expected = tf.image.resize(photos, size, antialias=True)
    np.testing.assert_allclose(
        resizing.resize(photos, size), expected, atol=1e-3
    )
    np.testing.assert_allclose(
        resizing.resize_array(photos, size, batch_size=3), expected, atol=1e-3
    )

"""Reads the range of images that a network takes from its first layers."""

import functools

import keras
import numpy as np
import tensorflow as tf

from kd_keras.models import image_spec
from kd_keras.utils import keras_internals

# Side in pixels of an image whose size is free.
_SIDE = 32
# Width of the range that images from 0 to 255 have after scaling: to 0 to 1, to
# -1 to 1, or by their own standard deviation of 5 to 128.
_SMALLEST_WIDTH, _LARGEST_WIDTH = 0.8, 60
# Width and start of their range after a subtraction of their mean alone.
_SMALLEST_CENTRED, _LARGEST_CENTRED = 200, 300
_HIGHEST_START = -50


def expected_images(network):
    """The `ImageSpec` that a network's first layers imply.

    Images from 0 to 255 are passed through the layers before the first one
    with trained weights: `Rescaling`, `Normalization`, `preprocess_input` of
    `keras.applications`, operations, augmentation.

    Args:
        network: Keras model.

    Returns:
        `image_spec.UINT8` if they are scaled or centred on the way; None if
        the range stays unknown, as for subclassed models.
    """
    shape = getattr(network, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or not shape[-1]:
        return None
    try:
        # Also where a graph is built: the values are needed now.
        with tf.init_scope():
            _run(network, _extremes(shape[1:]))
    except _Reached as reached:
        return image_spec.UINT8 if _is_scaled(reached.images) else None
    except Exception:
        # A layer fails on such images, or is not built.
        return None
    return None


class _Reached(Exception):
    """Images have reached the first layer with trained weights."""

    def __init__(self, images):
        super().__init__()
        self.images = images


def _run(network, images, **options):
    """Calls the layers of a network until `_Reached` is raised."""

    def function_of(operation):
        if not getattr(operation, "weights", None):
            return operation
        if isinstance(operation, keras.layers.Normalization):
            return operation
        if isinstance(operation, keras.Model):
            return functools.partial(_run, operation)
        return _reach

    return keras_internals.run(network, images, function_of, training=False)


def _reach(images, **options):
    raise _Reached(images)


def _extremes(shape):
    """Images of one colour each: black, white, and each channel alone."""
    height, width, channels = shape
    colours = np.eye(channels + 2, channels, dtype="float32")
    colours[-1] = 1
    colours = 255 * colours.reshape(-1, 1, 1, channels)
    size = (height or _SIDE, width or _SIDE)
    return np.tile(colours, (1, *size, 1))


def _is_scaled(images):
    low, high = float(np.min(images)), float(np.max(images))
    width = high - low
    if _SMALLEST_WIDTH <= width <= _LARGEST_WIDTH:
        return low <= 0 <= high
    return (
        _SMALLEST_CENTRED <= width <= _LARGEST_CENTRED and low < _HIGHEST_START
    )

"""Reads the range of images that a network takes from its first layer."""

import keras
import numpy as np

from kd_keras.models import image_spec

# Factors that scale images from 0 to 255 to 0 to 1 or to -1 to 1.
_SMALLEST_FACTOR, _LARGEST_FACTOR = 1 / 300, 1 / 100
# Standard deviations of such images.
_SMALLEST_DEVIATION, _LARGEST_DEVIATION = 5, 128


def expected_images(network):
    """The `ImageSpec` that a network's first layer implies.

    Args:
        network: Keras model.

    Returns:
        `image_spec.UINT8` if its first layer rescales or normalises images
        from 0 to 255; None if nothing can be said.
    """
    inputs = getattr(network, "inputs", None) or []
    layers = network.layers if len(inputs) == 1 else []
    for layer in layers:
        if isinstance(layer, keras.Model):
            return expected_images(layer)
        if not isinstance(layer, keras.layers.InputLayer):
            is_of_bytes = _IS_OF_BYTES.get(type(layer), lambda layer: False)
            return image_spec.UINT8 if is_of_bytes(layer) else None
    return None


def _rescales_bytes(layer):
    factor = np.max(np.asarray(layer.scale))
    return _SMALLEST_FACTOR <= factor <= _LARGEST_FACTOR


def _normalises_bytes(layer):
    if getattr(layer, "mean", None) is None:
        return False
    mean = np.asarray(layer.mean)
    deviation = np.max(np.sqrt(np.asarray(layer.variance)))
    return (
        0 <= mean.min() <= mean.max() <= 255
        and _SMALLEST_DEVIATION <= deviation <= _LARGEST_DEVIATION
    )


_IS_OF_BYTES = {
    keras.layers.Rescaling: _rescales_bytes,
    keras.layers.Normalization: _normalises_bytes,
}

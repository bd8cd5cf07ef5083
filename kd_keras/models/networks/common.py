"""Layers that the architectures share."""

import keras
import numpy as np

from kd_keras.models import image_spec


def normalised_input(image_shape, images):
    """An input of images, and the same normalised.

    Args:
        image_shape: `(height, width, channels)`.
        images: uint8 or float32 array of training images, whose mean and
            variance each channel is normalised by.

    Returns:
        `(inputs, normalised)`, two Keras tensors.
    """
    inputs = keras.Input(image_shape, name="images")
    pixels = images.reshape(-1, image_shape[-1]).astype("float64")
    # Avoids a division by 0 for a channel that never varies (all black).
    variance = np.maximum(pixels.var(axis=0), _grey_level(images) ** 2)
    normalise = keras.layers.Normalization(
        mean=pixels.mean(axis=0).tolist(),
        variance=variance.tolist(),
        dtype="float32",
        name="normalise",
    )
    return inputs, normalise(inputs)


def from_0_to_255(inputs, images):
    """The input, rescaled to the range of 0 to 255 unless it is of that."""
    low, high = image_spec.measure(images).scale
    if (low, high) == (0, 255) or low == high:
        return inputs
    scale = 255 / (high - low)
    return keras.layers.Rescaling(scale, -low * scale)(inputs)


def _grey_level(images):
    """One of 255 steps of the images' range of values; 1 for 0 to 255."""
    spec = image_spec.measure(images)
    if spec.usual_range == (0, 255) or spec.high == spec.low:
        return 1.0
    return (spec.high - spec.low) / 255


def classifier(name, inputs, features, num_classes):
    """A model that ends in a dense layer of logits."""
    # float32 in mixed precision too: the loss is computed from these.
    logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")
    return keras.Model(inputs, logits(features), name=name)


def batch_norm(**options):
    """Synchronized BatchNorm whose averages follow within some 20 steps."""
    return keras.layers.BatchNormalization(
        momentum=0.9, synchronized=True, **options
    )

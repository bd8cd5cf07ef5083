"""Layers that the architectures share."""

import keras
import numpy as np

from kd_keras.models import image_spec

# Values that are converted to float64 at once: thousands of photos would take
# gigabytes.
_VALUES_AT_ONCE = 2**20


def normalised_input(image_shape, images):
    """An input of images, and the normalised images.

    Args:
        image_shape: `(height, width, channels)`.
        images: uint8 or float32 array of training images, whose mean and
            variance each channel is normalised by.

    Returns:
        `(inputs, normalised)`, two Keras tensors.
    """
    inputs = keras.Input(image_shape, name="images")
    mean, variance = _moments(images)
    # Avoids a division by 0 for a channel that never varies (all black).
    variance = np.maximum(variance, _grey_level(images) ** 2)
    normalise = keras.layers.Normalization(
        mean=mean.tolist(),
        variance=variance.tolist(),
        dtype="float32",
        name="normalise",
    )
    return inputs, normalise(inputs)


def _moments(images):
    """Mean and variance of each channel, in float64."""
    count = images[..., 0].size
    sums = [
        part.sum(axis=(0, 1, 2), dtype="float64") for part in in_parts(images)
    ]
    mean = np.sum(sums, axis=0) / count
    squares = [
        np.square(part.astype("float64") - mean).sum(axis=(0, 1, 2))
        for part in in_parts(images)
    ]
    return mean, np.sum(squares, axis=0) / count


def in_parts(images):
    """Splits images into parts that are small in float64.

    Args:
        images: array `(n, height, width, channels)`.

    Returns:
        list of arrays, of at least one image each.
    """
    count = -(-images.size // _VALUES_AT_ONCE)
    return np.array_split(images, min(count, len(images)))


def from_0_to_255(inputs, images):
    """The input, rescaled to the range of 0 to 255 unless it has this range."""
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

"""Blurs images with a Gaussian.

The blur is two products of matrices, one for rows and one for columns. Pixels
are kept in steps of 1/16 and weights in steps of 1/4096: all sums are then
exact in float32, and the result does not depend on the order in which a
processor adds.
"""

import math

import numpy as np
import tensorflow as tf

from kd_keras.data.augmentation import checks

_PIXEL_STEPS = 16
_WEIGHT_STEPS = 4096
# Standard deviations, evenly spaced over the range.
_SIGMAS = 256


def blur(images, draws, *, blur, blur_sigma):
    """Blurs a share of the views; the border is reflected.

    Args:
        images: tensor `(batch, height, width, channels)`, from 0 to 255.
        draws: `order.Draws`.
        blur, blur_sigma: as in `ViewSpec`.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    chosen = draws.fractions("chance") < blur
    kernels = tf.constant(make_kernels(*blur_sigma), tf.float32)
    kernels = tf.gather(kernels, draws.integers("sigma", _SIGMAS))
    # Only the views that are blurred.
    rows = tf.where(chosen)
    pixels = tf.cast(tf.gather_nd(images, rows), tf.float32)
    kernels = tf.gather_nd(kernels, rows)
    for _ in range(2):
        # Blurs along the height; the transposition brings the width there.
        pixels = _blur_columns(_in_steps(pixels, _PIXEL_STEPS), kernels)
        pixels = tf.transpose(pixels, (0, 2, 1, 3))
    if images.dtype.is_integer:
        pixels = tf.round(pixels)
    blurred = tf.cast(pixels, images.dtype)
    return tf.tensor_scatter_nd_update(images, rows, blurred)


def make_kernels(low, high):
    """The weights of the pixels for each standard deviation.

    Args:
        low, high: floats, the smallest and the largest standard deviation in
            pixels.

    Returns:
        float64 array `(256, 2 * radius + 1)` of multiples of 1/4096; each
        row's sum is 1.
    """
    radius = math.ceil(3 * high)
    sigmas = np.linspace(low, high, _SIGMAS)[:, np.newaxis]
    distances = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (distances / sigmas) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    kernels = np.round(weights * _WEIGHT_STEPS)
    kernels[:, radius] += _WEIGHT_STEPS - kernels.sum(axis=1)
    return kernels / _WEIGHT_STEPS


def check_images(image_shape, image_spec, *, blur, blur_sigma):
    """Raises a ValueError for images that `blur` does not work with.

    Args:
        image_shape: `(height, width, channels)`.
        image_spec: `ImageSpec` of the images.
        blur, blur_sigma: as in `ViewSpec`.
    """
    what = "data.augment.blur rounds to sixteenths"
    checks.require_range(image_spec, what)
    radius, side = math.ceil(3 * blur_sigma[1]), min(image_shape[:2])
    if radius >= side:
        raise ValueError(
            "augment.blur_sigma must be at most a third of the smaller side of "
            f"images, here of {image_shape[0]} x {image_shape[1]} pixels. "
            f"Received: {blur_sigma}"
        )


def _in_steps(pixels, steps):
    return tf.round(pixels * steps) / steps


def _blur_columns(pixels, kernels):
    """Blurs along the height.

    Args:
        pixels: float32 tensor `(batch, height, width, channels)`.
        kernels: float32 tensor `(batch, taps)`.
    """
    _, height, width, channels = pixels.shape
    matrices = tf.tensordot(kernels, _places(height, kernels.shape[1]), 1)
    flat = tf.reshape(pixels, (-1, height, width * channels))
    return tf.reshape(tf.matmul(matrices, flat), (-1, height, width, channels))


def _places(size, taps):
    """Which pixel each tap reads: float32 constant `(taps, size, size)`."""
    index = np.arange(size) + np.arange(taps)[:, np.newaxis] - taps // 2
    index = np.abs(index)
    index = size - 1 - np.abs(size - 1 - index)
    return tf.constant(index[..., np.newaxis] == np.arange(size), tf.float32)

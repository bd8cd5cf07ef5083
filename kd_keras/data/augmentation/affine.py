"""Rotates, shears and shifts images, by the nearest pixel."""

import math

import numpy as np
import tensorflow as tf

# Coordinates are whole numbers of this fraction of a pixel, as in Pillow: sums
# of them are exact, and so a view has the same bytes on every machine.
_BITS = 16


def rotation(degrees, size):
    """Returns the matrix of a rotation about the centre, counterclockwise.

    Args:
        degrees: float.
        size: `(height, width)` of the images.

    Returns:
        `(a, b, c, d, e, f)`: the pixel at (x, y) comes from
        `(a x + b y + c, d x + e y + f)`.
    """
    height, width = size
    angle = -math.radians(degrees)
    # Rounded as Pillow does, so that a right angle is exact.
    cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)
    x, y = width / 2, height / 2
    return cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y


def fixed(matrix):
    """Converts a matrix to whole numbers, for centres of pixels.

    Args:
        matrix: `(a, b, c, d, e, f)` as of `rotation`.

    Returns:
        int64 array `(6,)`.
    """
    a, b, c, d, e, f = matrix
    centred = a, b, c + 0.5 * a + 0.5 * b, d, e, f + 0.5 * d + 0.5 * e
    scaled = np.asarray(centred, np.float64) * 2**_BITS
    return np.floor(scaled + 0.5).astype(np.int64)


def warp(images, matrices, *, fill):
    """Fetches each pixel from another place, given by an affine map.

    Equals Pillow's `Image.transform` with `NEAREST`.

    Args:
        images: uint8 tensor `(batch, height, width, channels)`.
        matrices: tensor `(batch, 6)`, each as of `fixed`.
        fill: int, the value of pixels that come from outside.

    Returns:
        uint8 tensor of the same shape.
    """
    _, height, width, channels = images.shape
    matrices = tf.cast(matrices, tf.int32)
    x = _fetched(matrices[:, :3], height, width)
    y = _fetched(matrices[:, 3:], width=width, height=height)
    # One row and column of the fill behind the last ones.
    padded = tf.pad(
        images, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=fill
    )
    pixels = tf.reshape(padded, (-1, (height + 1) * (width + 1), channels))
    places = _inside(y, height) * (width + 1) + _inside(x, width)
    places = tf.reshape(places, (-1, height * width))
    return tf.reshape(tf.gather(pixels, places, batch_dims=1), tf.shape(images))


def _fetched(row, height, width):
    """One coordinate of each pixel's source: int32 `(batch, height, width)`."""
    down = row[:, 1:2] * tf.range(height) + row[:, 2:3]
    across = row[:, 0:1] * tf.range(width)
    sums = down[:, :, tf.newaxis] + across[:, tf.newaxis]
    return tf.bitwise.right_shift(sums, tf.constant(_BITS))


def _inside(coordinate, size):
    """The coordinate, or `size` where it is outside of `[0, size)`."""
    # A negative number is a large one without its sign.
    large = tf.bitcast(coordinate, tf.uint32)
    return tf.bitcast(tf.minimum(large, tf.cast(size, tf.uint32)), tf.int32)

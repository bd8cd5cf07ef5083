"""Draws boxes of a random area and aspect ratio, to crop or to erase.

Computes in float64. The result is rounded to pixels, and in float32 the
rounding could differ with the instructions that compute an example's row of
the batch.
"""

import math

import tensorflow as tf

# As in torchvision and in Inception's preprocessing.
_TRIES = 10


def draw(draws, heights, widths, *, scale, ratio, margin=0):
    """Draws a box in each image: the first of ten that fits.

    Args:
        draws: `order.Draws`, which gives `area`, `ratio`, `top` and `left`.
        heights, widths: int32 tensors `(batch,)`, the images' sizes in
            pixels.
        scale: `(low, high)`; the box's share of the image's area is uniform
            between them.
        ratio: `(low, high)`; the logarithm of width / height is uniform
            between their logarithms.
        margin: int, by how many pixels the box must be smaller than the
            image, in both directions.

    Returns:
        `(boxes, fits)`: int32 `(batch, 4)` of top, left, height and width;
        bool `(batch,)`, False where none of the ten fits.
    """
    area = tf.cast(heights, tf.float64) * tf.cast(widths, tf.float64)
    area *= _uniform(draws, "area", *scale)
    ratio = tf.exp(_uniform(draws, "ratio", *map(math.log, ratio)))
    # (tries, batch)
    box_heights, box_widths = whole(
        tf.sqrt(area / ratio), tf.sqrt(area * ratio)
    )
    tall, wide = heights - margin, widths - margin
    fits = (box_heights > 0) & (box_heights <= tall)
    fits &= (box_widths > 0) & (box_widths <= wide)
    # `argmax` finds the first maximum.
    first = tf.argmax(tf.cast(fits, tf.int32), axis=0, output_type=tf.int32)
    at = tf.stack([first, tf.range(tf.size(first))], axis=-1)
    fits = tf.gather_nd(fits, at)
    height = tf.where(fits, tf.gather_nd(box_heights, at), 0)
    width = tf.where(fits, tf.gather_nd(box_widths, at), 0)
    top = draws.integers("top", heights - height + 1)
    left = draws.integers("left", widths - width + 1)
    return tf.stack([top, left, height, width], axis=-1), fits


def whole(*sizes):
    """Rounds float64 sizes to int32, halves to the even neighbour."""
    return [tf.cast(tf.round(size), tf.int32) for size in sizes]


def _uniform(draws, name, low, high):
    """Draws numbers from `low` to `high`: float64 `(tries, batch)`."""
    fractions = tf.cast(draws.fractions(name, _TRIES), tf.float64)
    return low + (high - low) * fractions

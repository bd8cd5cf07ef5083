"""Masks of boxes in images, for cutout and cutmix."""

import tensorflow as tf


def mask(*, centres, sides, size):
    """Returns the mask of one box in each image, clipped at the edge.

    Args:
        centres: `(y, x)`, each int32 `(batch,)`.
        sides: `(height, width)` of the boxes, each an int or int32
            `(batch, 1)`.
        size: `(height, width)` of the images, ints.

    Returns:
        bool tensor `(batch, height, width, 1)`, True inside of the box.
    """
    rows, columns = map(_inside, centres, sides, size)
    inside = rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :]
    return inside[..., tf.newaxis]


def _inside(centre, side, size):
    """Which of `size` positions lie in the box: bool `(batch, size)`."""
    offset = tf.range(size)[tf.newaxis] - centre[:, tf.newaxis] + side // 2
    return (offset >= 0) & (offset < side)

"""Mirrors and translates images."""

import tensorflow as tf

from kd_keras.data.augmentation import checks

DRAWS = _SHIFT_Y, _SHIFT_X, _MIRROR = 1, 2, 3


def mirror_and_translate(images, draws, *, translate, mirror):
    """Mirrors and shifts images; both together, to copy the pixels once.

    Args:
        images: tensor `(batch, height, width, channels)`.
        draws: `order.Draws`.
        translate, mirror: as in `ViewSpec`.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    height, width = images.shape[1:3]
    # Which row and column of the image each pixel of the view comes from.
    rows = tf.range(height)[tf.newaxis]
    columns = tf.range(width)[tf.newaxis]
    if mirror != "none":
        mirrored = _is_mirrored(draws, mirror)[:, tf.newaxis]
        columns = tf.where(mirrored, width - 1 - columns, columns)
    if translate:
        rows = _reflect(rows + _shift(draws, _SHIFT_Y, translate), height)
        columns = _reflect(columns + _shift(draws, _SHIFT_X, translate), width)
        images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)


def check_translation(image_shape, image_spec, *, translate, mirror):
    """Raises a ValueError for shifts as large as the images.

    Args:
        image_shape: `(height, width, channels)`.
        image_spec: `ImageSpec` of the images; not used.
        translate, mirror: as in `ViewSpec`.
    """
    most = min(image_shape[:2]) - 1
    checks.require_at_most("translate", translate, most, image_shape)


def _is_mirrored(draws, mirror):
    if mirror == "random":
        return draws.integers(_MIRROR, 2) == 1
    # A coin for each example decides whether even or odd views are mirrored.
    coin = draws.of_view(0).integers(_MIRROR, 2)
    parity = tf.cast(tf.cast(draws.view, tf.int64) % 2, tf.int32)
    return coin != parity


def _shift(draws, draw, reach):
    return draws.integers(draw, 2 * reach + 1)[:, tf.newaxis] - reach


def _reflect(index, size):
    """Folds indices outside of `[0, size)` back, without the edge twice."""
    index = tf.abs(index)
    return size - 1 - tf.abs(size - 1 - index)

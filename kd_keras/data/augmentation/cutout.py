"""Covers a square of each image with grey."""

import tensorflow as tf

from kd_keras.data.augmentation import boxes, checks

DRAWS = _CENTRE_Y, _CENTRE_X = 4, 5
# About the mean of natural images.
_GREY = 128


def cover_square(images, draws, *, cutout):
    """Covers a square at a random place with grey, clipped at the edge.

    Args:
        images: tensor `(batch, height, width, channels)`.
        draws: `order.Draws`.
        cutout: int, the square's side in pixels.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    height, width = images.shape[1:3]
    square = boxes.mask(
        centres=(
            draws.integers(_CENTRE_Y, height),
            draws.integers(_CENTRE_X, width),
        ),
        sides=(cutout, cutout),
        size=(height, width),
    )
    return tf.where(square, tf.cast(_GREY, images.dtype), images)


def check_square(image_shape, image_spec, *, cutout):
    """Raises a ValueError for images that `cover_square` does not work with.

    Args:
        image_shape: `(height, width, channels)`.
        image_spec: `ImageSpec` of the images.
        cutout: as in `ViewSpec`.
    """
    most = min(image_shape[:2])
    checks.require_at_most("cutout", cutout, most, image_shape)
    checks.require_range(
        image_spec, f"data.augment.cutout covers with a grey of {_GREY}"
    )

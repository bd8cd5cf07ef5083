"""Covers a box of each image with one random colour."""

import tensorflow as tf

from kd_keras.data.augmentation import boxes, checks, random_boxes

# Shares of the image's area, and width / height, as published.
_SCALE = (0.02, 0.33)
_RATIO = (0.3, 3.3)


def erase_box(images, draws, *, erasing):
    """Covers a box with a colour, in a share of the views.

    The box lies inside of the image; each of its channels has a value that is
    uniform from 0 to 255.

    Args:
        images: tensor `(batch, height, width, channels)`.
        draws: `order.Draws`.
        erasing: float, the share of the views.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    height, width, channels = images.shape[1:]
    count = tf.shape(images)[0]
    drawn, fits = random_boxes.draw(
        draws,
        tf.fill([count], height),
        tf.fill([count], width),
        scale=_SCALE,
        ratio=_RATIO,
        margin=1,
    )
    top, left, tall, wide = tf.unstack(drawn, axis=-1)
    box = boxes.mask(
        centres=(top + tall // 2, left + wide // 2),
        sides=(tall[:, tf.newaxis], wide[:, tf.newaxis]),
        size=(height, width),
    )
    erased = fits & (draws.fractions("chance") < erasing)
    box &= erased[:, tf.newaxis, tf.newaxis, tf.newaxis]
    colour = tf.transpose(draws.integers("colour", 256, channels))
    colour = tf.cast(colour, images.dtype)[:, tf.newaxis, tf.newaxis]
    return tf.where(box, colour, images)


def check_range(image_shape, image_spec, *, erasing):
    """Raises a ValueError for images that are not from 0 to 255.

    Args:
        image_shape: `(height, width, channels)`; not used.
        image_spec: `ImageSpec` of the images.
        erasing: as in `ViewSpec`.
    """
    checks.require_range(
        image_spec, "data.augment.erasing covers with colours from 0 to 255"
    )

"""Mixes the views of two examples: mixup and cutmix."""

import tensorflow as tf

from kd_keras.data.augmentation import boxes

DRAWS = _PARTNER, _CHANCE, _WEIGHT, _CENTRE_Y, _CENTRE_X = 6, 7, 8, 9, 10


def partners(draws, count):
    """Draws partners' positions: int32 `(batch,)`, 0 to `count - 1`."""
    return draws.integers(_PARTNER, count)


def chance(draws):
    """Draws numbers to decide which views to mix: float32 `(batch,)`."""
    return draws.fractions(_CHANCE)


def mixup(images, partner_images, draws):
    """Returns a weighted mean of each view and its partner's.

    Args:
        images, partner_images: tensors `(batch, height, width, channels)`.
        draws: `order.Draws`.

    Returns:
        Tensor of the shape and dtype of `images`; integers are rounded.
    """
    weight = _weight(draws)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    mean = weight * tf.cast(images, tf.float32) + (1.0 - weight) * tf.cast(
        partner_images, tf.float32
    )
    if images.dtype.is_integer:
        mean = tf.round(mean)
    return tf.cast(mean, images.dtype)


def cutmix(images, partner_images, draws):
    """Pastes a box of the partner's view into each view.

    Args:
        images, partner_images: tensors `(batch, height, width, channels)`.
        draws: `order.Draws`.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    height, width = images.shape[1:3]
    side = tf.sqrt(1.0 - _weight(draws))[:, tf.newaxis]
    box = boxes.mask(
        centres=(
            draws.integers(_CENTRE_Y, height),
            draws.integers(_CENTRE_X, width),
        ),
        sides=(
            tf.cast(tf.round(side * height), tf.int32),
            tf.cast(tf.round(side * width), tf.int32),
        ),
        size=(height, width),
    )
    return tf.where(box, partner_images, images)


def _weight(draws):
    """Draws the weight of the example itself, in [0, 1)."""
    return draws.fractions(_WEIGHT)


# The augmentations with a second image, by the field of `ViewSpec` that is
# their share of the views; a view gets one at most. Functions of `(images,
# partner_images, draws)`.
MIXING = {"mixup": mixup, "cutmix": cutmix}

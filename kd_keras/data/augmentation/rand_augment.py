"""Applies some random operations of one strength to each image."""

import tensorflow as tf

from kd_keras.data.augmentation import policies


def rand_augment(images, draws, *, rand_augment, magnitude):
    """Applies operations that are drawn for each view, one after the other.

    The operation and its direction are drawn uniformly; the magnitude is fixed.

    Args:
        images: tensor `(batch, height, width, channels)`, from 0 to 255.
            float32 images are rounded first.
        draws: `order.Draws`.
        rand_augment, magnitude: as in `ViewSpec`.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    steps = range(rand_augment)
    operations = len(policies.OPERATIONS)
    views = policies.apply(
        policies.to_bytes(images),
        operation=_stacked(draws, "operation", operations, steps),
        magnitude=magnitude,
        negative=_stacked(draws, "negative", 2, steps),
        space=policies.RAND_AUGMENT,
    )
    return policies.from_bytes(views, images.dtype)


def _stacked(draws, name, count, steps):
    """Draws whole numbers below `count`: int32 `(batch, steps)`."""
    drawn = [draws.integers(f"{name}{i}", count) for i in steps]
    return tf.stack(drawn, axis=1)

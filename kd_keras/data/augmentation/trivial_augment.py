"""Applies one random operation of random strength to each image."""

import tensorflow as tf

from kd_keras.data.augmentation import policies


def trivial_augment(images, draws, *, trivial_augment):
    """Applies an operation that is drawn for each view.

    The operation, its magnitude and its direction are drawn uniformly.

    Args:
        images: tensor `(batch, height, width, channels)`, from 0 to 255.
            float32 images are rounded first.
        draws: `order.Draws`.
        trivial_augment: bool, True; there is nothing to set.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    drawn = {
        "operation": len(policies.OPERATIONS),
        "magnitude": policies.MOST + 1,
        "negative": 2,
    }
    steps = {
        name: draws.integers(name, count)[:, tf.newaxis]
        for name, count in drawn.items()
    }
    views = policies.apply(
        policies.to_bytes(images), space=policies.WIDE, **steps
    )
    return policies.from_bytes(views, images.dtype)

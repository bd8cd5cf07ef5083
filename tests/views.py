"""Views of random images, for tests of augmentations."""

import numpy as np
import tensorflow as tf

from kd_keras.data import augmentation, order
from kd_keras.data.augmentation import ViewSpec


def images(count=24, height=18, width=21, channels=3):
    """uint8 array of noise with some grey, black and white pixels."""
    shape = (count, height, width, channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
    pixels[:, 0] = pixels[:, 0, :, :1]
    pixels[:, 1, :4], pixels[:, 1, 4:8] = 0, 255
    return pixels


def make(pixels, *, view=4, ids=None, **fields):
    """The views of some images, with the ids 0, 1, ... : an array."""
    ids = np.arange(len(pixels)) if ids is None else ids
    return augmentation.make_views(
        tf.constant(pixels),
        tf.constant(ids, tf.int64),
        view=view,
        spec=ViewSpec(seed=3, **fields),
    ).numpy()


def draws(name, count, view=4):
    """The random numbers of an augmentation for the views of `make`."""
    ids = tf.range(count, dtype=tf.int64)
    return order.Draws(ids, 3, view).of(name)

"""Augments images into views that can be computed again at any time.

A view is a pure function of the seed, the view's number and the example's id:
these three numbers give the same image in any batch, order or process.
"""

import tensorflow as tf

from kd_keras.data import order
from kd_keras.data.augmentation import mixing
from kd_keras.data.augmentation.spec import ViewSpec, is_plain
from kd_keras.data.augmentation.table import ALL, AUGMENTATIONS, CROPS

__all__ = [
    "ViewSpec",
    "check",
    "crop_of",
    "is_plain",
    "make_views",
    "mix",
    "partners",
]


def make_views(images, ids, *, view, spec):
    """Augments a batch of images, except for mixing: see `mix`.

    Args:
        images: tensor `(batch, height, width, channels)`, any dtype.
        ids: int64 tensor `(batch,)`, the examples' ids.
        view: int or int64 scalar, the view's number (in training: the epoch).
        spec: `ViewSpec`.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    draws = order.Draws(ids, spec.seed, view)
    # A GPU rounds some operations differently.
    with tf.device("CPU:0"):
        for name in spec.used:
            step = AUGMENTATIONS[name]
            fields = spec.values(step.fields)
            images = step.apply(images, draws.of(name), **fields)
    return images


def crop_of(spec, *, view):
    """The function that chooses which part of each image is read.

    Args:
        spec: `ViewSpec`.
        view: int or int64 scalar, the view's number.

    Returns:
        None if images are read whole; or a function of the examples' ids,
        int64 `(batch,)`, and of the heights and widths of their originals in
        pixels, int32 `(batch,)`, -> int32 `(batch, 4)`: top, left, height and
        width of the part.
    """
    name = spec.crop
    if name is None:
        return None

    def crop(ids, heights, widths):
        draws = order.Draws(ids, spec.seed, view).of(name)
        fields = spec.values(CROPS[name].fields)
        return CROPS[name].apply(draws, heights, widths, **fields)

    return crop


def check(spec, image_shape, image_spec):
    """Raises a ValueError for images that an augmentation does not work with.

    Args:
        spec: `ViewSpec`.
        image_shape: `(height, width, channels)`.
        image_spec: `ImageSpec` of the images.
    """
    for name in [*filter(None, [spec.crop]), *spec.used]:
        step = ALL[name]
        if step.check:
            step.check(image_shape, image_spec, **spec.values(step.fields))


def partners(ids, *, view, spec, count):
    """Draws the position of each view's mixing partner.

    Args:
        ids: int64 tensor `(batch,)`, the examples' ids.
        view: int or int64 scalar, the view's number.
        spec: `ViewSpec`.
        count: int, the number of examples to draw from.

    Returns:
        int32 tensor `(batch,)`, 0 to `count - 1`.
    """
    return mixing.partners(order.Draws(ids, spec.seed, view), count)


def mix(images, partner_images, ids, *, view, spec):
    """Mixes a share of the views with their partners' views.

    Args:
        images: tensor `(batch, height, width, channels)`, the views.
        partner_images: the same, the views of the `partners`.
        ids: int64 tensor `(batch,)`, the examples' ids.
        view: int or int64 scalar, the view's number.
        spec: `ViewSpec`.

    Returns:
        Tensor of the shape and dtype of `images`. Integers are rounded here,
        so that teacher and student see the same image.
    """
    draws = order.Draws(ids, spec.seed, view)
    chance = mixing.chance(draws)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    mixed, low = images, 0.0
    for field, combine in mixing.MIXING.items():
        share = getattr(spec, field)
        if share:
            chosen = (chance >= low) & (chance < low + share)
            combined = combine(images, partner_images, draws)
            mixed = tf.where(chosen, combined, mixed)
        low += share
    return mixed

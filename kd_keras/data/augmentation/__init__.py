"""Augments images into views that can be computed again at any time.

A view is a pure function of the seed, the view's number and the example's id:
these three numbers give the same image in any batch, order or process.
"""

import dataclasses

import tensorflow as tf

from kd_keras.config import data as fields
from kd_keras.config.field import check, check_type
from kd_keras.data import order
from kd_keras.data.augmentation import cutout, geometric, mixing


@dataclasses.dataclass(frozen=True)
class ViewSpec:
    """Settings of the augmentation; by default images stay as they are.

    The manifest of a store holds these fields: names and defaults are fixed.

    Attributes:
        seed: int; another seed gives other views.
        translate: int, largest shift in pixels, in each direction. Pixels
            from outside of the image are filled by reflection.
        mirror: `none`; `random`, each view is mirrored with probability 1/2;
            `alternating`, an example is mirrored in every second view.
        cutout: int, side in pixels of a grey square; 0 for none.
        mixup: float, the share of views that are a weighted mean of two
            images, the example's and its partner's. The weight is uniform in
            [0, 1).
        cutmix: float, the share of views in which a box of the partner's
            image is pasted. The box's share of the area, before it is
            clipped at the edge, is uniform in (0, 1].

    Raises:
        ValueError: if a value is not one that `config.data` may have.

    Reference:
        - mixup: [Zhang et al., 2018](https://arxiv.org/abs/1710.09412)
        - cutmix: [Yun et al., 2019](https://arxiv.org/abs/1905.04899)
        - both without labels, for teacher and student alike:
          [Beyer et al., 2022](https://arxiv.org/abs/2106.05237)
        - alternating mirror: [Jordan, 2024](
          https://arxiv.org/abs/2404.00498), section 3.6
        - cutout: [DeVries & Taylor, 2017](https://arxiv.org/abs/1708.04552)
    """

    seed: int = 0
    translate: int = 0
    mirror: str = "none"
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self):
        rules = {x.name: x.rule for x in (*fields.AUGMENT, *fields.MIXING)}
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            check_type(entry.name, value, entry.default)
            check(rules[entry.name], entry.name, value)

    @property
    def mixes(self):
        """Whether views are mixed with those of a partner."""
        return any(getattr(self, field) > 0 for field in _MIXING)


# The augmentations of one image, in the order in which they are applied, each
# with the fields of `ViewSpec` that it needs. Functions of `(images, draws,
# **fields)`. Draw numbers are unique over all modules and never change: they
# decide which views a store's logits belong to.
_AUGMENTATIONS = {
    geometric.mirror_and_translate: ("translate", "mirror"),
    cutout.cover_square: ("cutout",),
}
# The augmentations with a second image, by the field of `ViewSpec` that is
# their share of the views; a view gets one at most. Functions of `(images,
# partner_images, draws)`.
_MIXING = {"mixup": mixing.mixup, "cutmix": mixing.cutmix}


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
    off = ViewSpec()
    for augment, names in _AUGMENTATIONS.items():
        fields = {name: getattr(spec, name) for name in names}
        if any(value != getattr(off, name) for name, value in fields.items()):
            images = augment(images, draws, **fields)
    return images


def check_size(spec, image_shape):
    """Raises a ValueError for shifts and squares larger than the images.

    Args:
        spec: `ViewSpec`.
        image_shape: `(height, width, channels)`.
    """
    side = min(image_shape[:2])
    for name, most in (("translate", side - 1), ("cutout", side)):
        if getattr(spec, name) > most:
            raise ValueError(
                f"augment.{name} must be at most {most} for images of "
                f"{image_shape[0]} x {image_shape[1]}. Received: "
                f"{getattr(spec, name)}"
            )


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
    """Mixes a share of the views with those of their partners.

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
    for field, combine in _MIXING.items():
        share = getattr(spec, field)
        if share:
            chosen = (chance >= low) & (chance < low + share)
            combined = combine(images, partner_images, draws)
            mixed = tf.where(chosen, combined, mixed)
        low += share
    return mixed

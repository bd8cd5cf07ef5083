"""The table of augmentations of one image."""

import dataclasses
from collections.abc import Callable

from kd_keras.data.augmentation import (
    blurring,
    colour,
    cropping,
    cutout,
    erasing,
    geometric,
    policies,
    rand_augment,
    trivial_augment,
)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """An augmentation of one image.

    Attributes:
        apply: function of `(images, draws, **fields)` -> images of the same
            shape and dtype; a pure function, with every random number from
            `draws`, an `order.Draws`.
        switches: tuple of str, the fields of `ViewSpec` that turn it on when
            one of them does not have its default.
        options: tuple of str, other fields of `ViewSpec` that it needs.
        check: function of `(image_shape, image_spec, **fields)` that raises
            a ValueError for images that it does not work with; or None.
        version: int; raise it with any change of the views that it makes, so
            that a store or a run of other views is refused. None for the
            augmentations that stores name without a version.
    """

    apply: Callable
    switches: tuple
    options: tuple = ()
    check: Callable | None = None
    version: int | None = 1

    @property
    def fields(self):
        """Names of all the fields of `ViewSpec` that it needs."""
        return (*self.switches, *self.options)


# In the order in which they are applied by default. Their names and the names
# of their draws decide which views a store's logits belong to, and never
# change; the numbers of older draws are unique over all modules.
AUGMENTATIONS = {
    "translate_mirror": Augmentation(
        geometric.mirror_and_translate,
        switches=("translate", "mirror"),
        check=geometric.check_translation,
        version=None,
    ),
    "rand_augment": Augmentation(
        rand_augment.rand_augment,
        switches=("rand_augment",),
        options=("magnitude",),
        check=policies.check_images,
    ),
    "trivial_augment": Augmentation(
        trivial_augment.trivial_augment,
        switches=("trivial_augment",),
        check=policies.check_images,
    ),
    "colour": Augmentation(
        colour.jitter,
        switches=("brightness", "contrast", "saturation", "hue", "grey"),
        check=colour.check_images,
    ),
    "blur": Augmentation(
        blurring.blur,
        switches=("blur",),
        options=("blur_sigma",),
        check=blurring.check_images,
    ),
    "cutout": Augmentation(
        cutout.cover_square,
        switches=("cutout",),
        check=cutout.check_square,
        version=None,
    ),
    "erasing": Augmentation(
        erasing.erase_box,
        switches=("erasing",),
        check=erasing.check_range,
    ),
}
# Augmentations that choose the part of the original to read, before all others
# are applied. Functions of `(draws, heights, widths, **fields)` -> int32
# `(batch, 4)`: top, left, height and width.
CROPS = {
    "random_crop": Augmentation(
        cropping.random_crop,
        switches=("crop_scale",),
        options=("crop_ratio",),
        check=cropping.check_images,
    )
}

ALL = {**CROPS, **AUGMENTATIONS}

"""Sections `augment`: the augmentation of the training images.

`ViewSpec` of `data.augmentation` has the same fields, and names the paper of
each augmentation.
"""

from kd_keras.config import field
from kd_keras.config.field import Field, Rule
from kd_keras.utils import suggestions

MIRRORS = ("none", "random", "alternating")
# In the order in which they are applied by default.
AUGMENTATIONS = (
    "translate_mirror",
    "rand_augment",
    "trivial_augment",
    "colour",
    "blur",
    "cutout",
    "erasing",
)


def _used_with(name):
    return name, Rule("set", bool)


def _jitter(what):
    return (
        f"Largest change of the {what}: 0.4 for factors from 0.6 to 1.4. For "
        "images from 0 to 255."
    )


FIELDS = (
    Field(
        "translate",
        0,
        "Largest shift in pixels, less than the image's height and width; "
        "the border is filled by reflection.",
        field.PIXELS,
    ),
    Field(
        "mirror",
        "none",
        "Left-right flips: random flips each view with probability 1/2; "
        "alternating shows an image one way in epoch 2k and flipped in "
        "epoch 2k + 1.",
        field.one_of(MIRRORS),
    ),
    Field(
        "crop_scale",
        (),
        "Random crop: the range of its share of the image's area, such as "
        "(0.08, 1). It is resized to image_size; empty for no crop.",
        field.range_of(field.number(above=0, most=1), empty=True),
    ),
    Field(
        "crop_ratio",
        (3 / 4, 4 / 3),
        "Range of the width / height of a random crop.",
        field.range_of(field.number(least=0.1, most=10)),
        used_with=_used_with("crop_scale"),
    ),
    Field(
        "rand_augment",
        0,
        "RandAugment: number of random operations on each view, 2 in most "
        "recipes; 0 for none.",
        field.number(least=0, most=10),
    ),
    Field(
        "magnitude",
        9,
        "Strength of RandAugment's operations; 30 is the end of each range.",
        field.number(least=0, most=30),
        used_with=_used_with("rand_augment"),
    ),
    Field(
        "trivial_augment",
        False,
        "TrivialAugment: one random operation of random strength on each view.",
    ),
    Field("brightness", 0.0, _jitter("brightness"), field.UP_TO_ONE),
    Field("contrast", 0.0, _jitter("contrast"), field.UP_TO_ONE),
    Field(
        "saturation",
        0.0,
        _jitter("saturation") + " With three channels.",
        field.UP_TO_ONE,
    ),
    Field(
        "hue",
        0.0,
        "Largest turn of the hue, as a share of the circle of colours. With "
        "three channels.",
        field.number(least=0, most=0.5),
    ),
    Field(
        "grey",
        0.0,
        "Share of views without colours. With three channels.",
        field.UP_TO_ONE,
    ),
    Field("blur", 0.0, "Share of views that are blurred.", field.UP_TO_ONE),
    Field(
        "blur_sigma",
        (0.1, 2.0),
        "Range of the blur's standard deviation in pixels.",
        field.range_of(field.number(least=0.1, most=20)),
        used_with=_used_with("blur"),
    ),
    Field(
        "cutout",
        0,
        "Side in pixels of a square that is painted grey, at most the "
        "image's height and width; 0 for none.",
        field.PIXELS,
    ),
    Field(
        "erasing",
        0.0,
        "Share of views in which a box of 2 to 33 % of the area is covered "
        "with a random colour.",
        field.UP_TO_ONE,
    ),
    Field(
        "order",
        (),
        "The augmentations in the order in which they are applied, such as "
        f"{','.join(AUGMENTATIONS)}, which is the order if this is empty. "
        "Those that are used must all be named.",
        field.names(AUGMENTATIONS),
    ),
    Field(
        "seed",
        None,
        "Seed for augmentation.",
        field.SEED,
        same_as="seed",
    ),
)

MIXING = (
    Field(
        "mixup",
        0.0,
        "Share of the student's views that are a weighted mean of two "
        "images. Only the student's, since labels are not mixed.",
        field.UP_TO_ONE,
    ),
    Field(
        "cutmix",
        0.0,
        "Share of the student's views in which a box is filled from "
        "another image.",
        field.UP_TO_ONE,
    ),
)

_CROP_AND_MIRROR = {"crop_scale": (0.08, 1.0), "mirror": "random"}
# Fields that each recipe sets; all other augmentations are turned off.
RECIPES = {
    "none": {},
    # He et al., 2016 (arXiv:1512.03385), section 4.2, but for the border,
    # which is reflected here.
    "cifar": {"translate": 4, "mirror": "random"},
    # Szegedy et al., 2015 (arXiv:1409.4842), section 6: what most networks
    # for ImageNet are trained with.
    "photos_light": _CROP_AND_MIRROR,
    # As torchvision's recipe of 2021 for ImageNet.
    "photos_strong": {
        **_CROP_AND_MIRROR,
        "trivial_augment": True,
        "erasing": 0.1,
    },
}


def recipe(name, *, what="a recipe of augmentations"):
    """The fields of an augmentation recipe.

    Use as `config.data.augment.update(augment_recipe("cifar"))`.

    Args:
        name: str, one of `RECIPES`.
        what: str, where the name comes from, for the error.

    Returns:
        dict of names to values: all fields of the section except the seed.

    Raises:
        ValueError: if there is no such recipe.
    """
    suggestions.check_choice(name, RECIPES, what=what)
    off = {entry.name: entry.default for entry in FIELDS if not entry.same_as}
    return {**off, **RECIPES[name]}

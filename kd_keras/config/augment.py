"""Sections `augment`: the augmentation of the training images.

`ViewSpec` of `data.augmentation` has the same fields, and says where each
augmentation was published.
"""

from kd_keras.config import field
from kd_keras.config.field import Field
from kd_keras.utils import suggestions

MIRRORS = ("none", "random", "alternating")
# In the order in which they are applied by default.
AUGMENTATIONS = ("translate_mirror", "cutout")

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
        "cutout",
        0,
        "Side in pixels of a square that is painted grey, at most the "
        "image's height and width; 0 for none.",
        field.PIXELS,
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

# What each recipe sets; it turns all other augmentations off.
RECIPES = {
    "none": {},
    # He et al., 2016 (arXiv:1512.03385), section 4.2, but for the border,
    # which is reflected here.
    "cifar": {"translate": 4, "mirror": "random"},
}


def recipe(name, *, what="a recipe of augmentations"):
    """The fields of an augmentation recipe.

    Use as `config.data.augment.update(augment_recipe("cifar"))`.

    Args:
        name: str, one of `RECIPES`.
        what: str, where the name comes from, for the error.

    Returns:
        dict of every field of the section but the seed to its value.

    Raises:
        ValueError: if there is no such recipe.
    """
    suggestions.check_choice(name, RECIPES, what=what)
    off = {entry.name: entry.default for entry in FIELDS if not entry.same_as}
    return {**off, **RECIPES[name]}

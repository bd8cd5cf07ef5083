"""Section `data`: the examples and their augmentation."""

import numbers

from kd_keras.config import field
from kd_keras.config.field import Field, Rule, Section

MIRRORS = ("none", "random", "alternating")
_FROM_DISK = Rule(
    "another set than mnist", lambda name: set(name.split("+")) != {"mnist"}
)
_FOLDER = Rule("folder", lambda name: "folder" in name.split("+"))

AUGMENT = (
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


def _check(config):
    data = config.data
    field.require(
        data.mixup + data.cutmix <= 1,
        config,
        "data.cutmix",
        f"at most 1 together with data.mixup={data.mixup}",
    )


SECTION = Section(
    "data",
    "The examples.",
    (
        Field(
            "name",
            "mnist",
            "mnist (in the package), cifar10, any name of TensorFlow "
            "Datasets, or folder: PNG and JPEG images in data_dir, flat "
            "(without labels, for the student stage) or with one subfolder "
            "per class. Names joined by + are one set of all their classes.",
        ),
        Field(
            "data_dir",
            "",
            "Folder of the images or of prepared sets; empty for the default "
            "of TensorFlow Datasets.",
            used_with=("name", _FROM_DISK),
        ),
        Field(
            "image_size",
            0,
            "Resizes images to this height and width; 0 keeps their size, "
            "which must then be the same for all.",
            field.PIXELS,
            used_with=("name", _FROM_DISK),
        ),
        Field(
            "validation_examples",
            0,
            "Training examples that are held out to choose hyperparameters: "
            "how many, or below 1 the share of each class.",
            field.SHARE_OR_COUNT,
            kind=numbers.Real,
        ),
        Field(
            "max_train_examples",
            0,
            "Largest number of training examples; 0 for all.",
            field.AMOUNT,
        ),
        Field(
            "test_fraction",
            0.1,
            "Images that are held out for the test where there are no test "
            "images: the share of each class, or from 1 how many.",
            field.SHARE_OR_COUNT,
            used_with=("name", _FOLDER),
            kind=numbers.Real,
        ),
        Field(
            "memory_limit_mb",
            2000,
            "A set above this size is streamed from disk in every epoch.",
            field.AMOUNT,
            used_with=("name", _FROM_DISK),
        ),
        Section("augment", "Augmentation of the training images.", AUGMENT),
        *MIXING,
    ),
    _check,
)

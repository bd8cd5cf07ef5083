"""Section `data`: the examples and their augmentation."""

import numbers

from kd_keras.config import augment, field
from kd_keras.config.field import Field, Rule, Section

# Ways to fit an image to a size of another aspect ratio.
RESIZE_MODES = ("crop", "pad", "squash")
_FROM_DISK = Rule(
    "another set than mnist", lambda name: set(name.split("+")) != {"mnist"}
)
_COLUMNS = Rule(
    "table, hugging_face, array_record or a set of TensorFlow Datasets",
    lambda name: not set(name.split("+")) <= {"mnist", "folder"},
)
_RESIZED = Rule("above 0", lambda size: size > 0)
_COLOUR = Rule(
    "three whole numbers from 0 to 255",
    lambda colour: (
        len(colour) == 3
        and all(
            field.is_of_type(value, int) and 0 <= value <= 255
            for value in colour
        )
    ),
)
_FILES = Rule(
    "folder or table",
    lambda name: not {"folder", "table"}.isdisjoint(name.split("+")),
)
_CONVERTED = Rule(
    "folder, table, array_record or hugging_face",
    lambda name: (
        not {"folder", "table", "array_record", "hugging_face"}.isdisjoint(
            name.split("+")
        )
    ),
)
_CHANNELS = Rule("1 or 3", lambda value: value in (1, 3))
_TABLE = Rule("table", lambda name: "table" in name.split("+"))


def _check(config):
    data = config.data
    field.require(
        not (data.labels_per_class and data.labelled_ids),
        config,
        "data.labels_per_class",
        "0 with data.labelled_ids, which chooses, too",
    )
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
            "Datasets, folder (image files in data_dir, flat or with one "
            "subfolder per class), table (data_dir is a CSV, TSV or Parquet "
            "file that lists image files), array_record (data_dir is a folder "
            "of ArrayRecord files) or hugging_face (data_dir is a folder of "
            "save_to_disk). Names joined by + are one set of all their "
            "classes.",
        ),
        Field(
            "data_dir",
            "",
            "Folder of the images, or several with commas between; a table of "
            "images; or the folder of prepared sets, empty for the default of "
            "TensorFlow Datasets. Also at gs://, s3:// or az:// (docs/guides/"
            "remote.md).",
            used_with=("name", _FROM_DISK),
        ),
        Field(
            "labels",
            "auto",
            "auto takes labels from the names of class folders, the column "
            "of a table or the labels of a published set; none uses all images "
            "without labels.",
            field.one_of(("auto", "none")),
            used_with=("name", _FROM_DISK),
        ),
        Field(
            "channels",
            3,
            "Channels that images are converted to: 3 for colour, 1 for grey. "
            "Sets of TensorFlow Datasets have their own.",
            _CHANNELS,
            used_with=("name", _CONVERTED),
        ),
        Field(
            "on_error",
            "stop",
            "What happens if image files cannot be read: stop lists all of "
            "them and ends, skip leaves them out.",
            field.one_of(("stop", "skip")),
            used_with=("name", _FILES),
        ),
        Field(
            "split_column",
            "",
            "Column of a table that says train, val or test; by default one "
            "named so that it is recognised, such as split.",
            used_with=("name", _TABLE),
        ),
        Field(
            "image_size",
            0,
            "Resizes images to this height, and to this width unless "
            "image_width is set; 0 keeps their size, which must then be the "
            "same for all.",
            field.PIXELS,
            used_with=("name", _FROM_DISK),
        ),
        Field(
            "image_width",
            0,
            "Width that images are resized to; 0 for that of a square.",
            field.PIXELS,
            used_with=("image_size", _RESIZED),
        ),
        Field(
            "resize",
            "crop",
            "How an image of another aspect ratio is resized: crop cuts off "
            "the ends of its longer side, pad fills up with background, "
            "squash changes its aspect ratio.",
            field.one_of(RESIZE_MODES),
            used_with=("image_size", _RESIZED),
        ),
        Field(
            "antialias",
            True,
            "Averages all pixels where an image is made smaller. False is "
            "plain bilinear, as in many older pipelines.",
            used_with=("image_size", _RESIZED),
        ),
        Field(
            "background",
            (255, 255, 255),
            "Red, green and blue, from 0 to 255, under transparent pixels "
            "and beside padded images.",
            _COLOUR,
            used_with=("name", _FROM_DISK),
        ),
        Field(
            "decoding",
            "exact",
            "fast decodes JPEG files at a half, a quarter or an eighth of "
            "their size where that is still as large as image_size: several "
            "times faster for large photos.",
            field.one_of(("exact", "fast")),
            used_with=("image_size", _RESIZED),
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
            "labels_per_class",
            0,
            "Training images of each class that teacher and baseline learn "
            "from, with their labels; 0 for all. A hash of the seed and the "
            "ids chooses them: those of a smaller number are among those of a "
            "larger one. The student sees all images, without labels.",
            field.COUNT_OR_ZERO,
        ),
        Field(
            "labelled_ids",
            "",
            "Instead of labels_per_class: a file (.txt, .csv or .npy) that "
            "lists these images, by id or by file name.",
        ),
        Field(
            "labelled_passes",
            1,
            "Passes over the images of labels_per_class or labelled_ids that "
            "are one epoch. 110, with 500 labels of 55,000 images: an epoch "
            "of teacher and baseline has as many steps as one of the student. "
            "One pass if all images have labels.",
            field.number(least=1, most=1_000_000),
        ),
        Field(
            "test_fraction",
            0.1,
            "Images that are held out for the test where there are no test "
            "images: the share of each class, or from 1 how many.",
            field.SHARE_OR_COUNT,
            used_with=("name", _FROM_DISK),
            kind=numbers.Real,
        ),
        Field(
            "image_column",
            "",
            "Column of a table or feature of a published set that is the "
            "image; by default it is recognised.",
            used_with=("name", _COLUMNS),
        ),
        Field(
            "label_column",
            "",
            "Column or feature that is the label; by default it is recognised.",
            used_with=("name", _COLUMNS),
        ),
        Field(
            "memory_limit_mb",
            2000,
            "A set above this size is read from disk in every epoch. Prepared "
            "as TFRecord, it is converted to ArrayRecord beside it, once.",
            field.AMOUNT,
            used_with=("name", _FROM_DISK),
        ),
        Section(
            "augment",
            "Augmentation of the training images. --config.data.augment="
            "cifar sets all fields but the seed to a recipe: "
            f"{', '.join(augment.RECIPES)}.",
            augment.FIELDS,
            recipe=augment.recipe,
        ),
        *augment.MIXING,
    ),
    _check,
)

"""Which splits of a published set are trained, validated and tested on."""

import numpy as np
import pytest

from kd_keras import config
from kd_keras.data import datasets
from kd_keras.data.sources import official_splits


def choose(withheld=(), /, names=("train", "test"), **options):
    """Chooses among splits of ten examples; pixels are the name's length."""
    fields = config.default_config().data
    fields.update(**options)

    def read(name, labelled):
        images = np.full((10, 2, 2, 1), len(name), np.uint8)
        labels = np.arange(10) % 2 if labelled else None
        return datasets.Examples(images, labels)

    parts = official_splits.choose(
        names,
        has_labels=lambda name: name not in withheld,
        read=read,
        fields=fields,
        what="made",
    )
    return {
        part: (len(examples), int(examples.images[0, 0, 0, 0]))
        for part, examples in parts.items()
        if examples is not None
    }


TRAIN, TEST, VALIDATION, VAL = 5, 4, 10, 3


@pytest.mark.parametrize(
    "names, withheld, expected",
    [
        (("train", "test"), "", {"test": TEST}),
        (("train", "validation"), "", {"test": VALIDATION}),
        (("train", "val", "extra"), "", {"test": VAL}),
        (
            ("train", "test", "validation"),
            "",
            {"test": TEST, "validation": VALIDATION},
        ),
        (("train", "test", "validation"), ["test"], {"test": VALIDATION}),
        (("train", "test"), ["test"], {}),
        (("train", "test"), ["test", "train"], {}),
        (("train",), ["train"], {}),
    ],
)
def test_the_test_split_is_the_first_with_labels(names, withheld, expected):
    expected = {part: (10, size) for part, size in expected.items()}
    assert choose(withheld, names=names) == {"train": (10, TRAIN), **expected}


def test_a_set_with_a_train_split_alone_is_split_by_test_fraction():
    parts = choose(names=["train"], test_fraction=0.2)
    assert parts == {"train": (8, TRAIN), "test": (2, TRAIN)}
    assert choose(names=["train"], test_fraction=0) == {"train": (10, TRAIN)}


def test_examples_that_are_held_out_replace_the_validation_split():
    names = ["train", "test", "validation"]
    assert "validation" not in choose(names=names, validation_examples=0.1)


def test_a_set_without_a_train_split_is_refused():
    with pytest.raises(
        ValueError, match="'train'. Received: made with .'test'"
    ):
        choose(names=["test"])

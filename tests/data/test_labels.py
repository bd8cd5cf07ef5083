"""Labels of every form: class numbers, or refused."""

import numpy as np
import pytest

from kd_keras.data import datasets
from kd_keras.data import labels as labels_lib

CLASSES = np.array([0, 1, 2, 0, 1, 3])


@pytest.mark.parametrize(
    "given",
    [
        CLASSES.tolist(),
        CLASSES.astype("uint8"),
        CLASSES.astype(object),
        CLASSES[:, np.newaxis],
        CLASSES.astype("float32"),
        np.eye(4)[CLASSES],
        np.eye(4, dtype=bool)[CLASSES],
    ],
)
def test_class_numbers_and_one_hot_rows_are_classes(given):
    numbers, num_classes = labels_lib.class_numbers(given, count=6)
    assert numbers.dtype == np.int32 and num_classes == 4
    np.testing.assert_array_equal(numbers, CLASSES)


def test_a_one_hot_class_without_examples_counts():
    one_hot = np.eye(7)[CLASSES]
    assert labels_lib.class_numbers(one_hot, count=6)[1] == 7
    numbers, num_classes = labels_lib.class_numbers([False, True], count=2)
    assert numbers.tolist() == [0, 1] and num_classes == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (CLASSES + 0.5, "whole numbers.*Received: 0.5"),
        ([0, 1, np.nan, 0, 1, 2], "whole numbers.*Received: nan"),
        (np.full((6, 4), 0.25), r"one-hot.*soft labels.*\(6, 4\) for 4"),
        (np.ones((6, 4), int), "one-hot.*several classes for an image"),
        (np.eye(5)[CLASSES], r"one-hot.*\(6, 5\) for 4 classes"),
        (np.zeros((6, 2, 2), int), "one label for each image"),
        (np.zeros((2, 3), int), "6 images, 2 labels"),
        (3, "6 images, 1 labels"),
        ([0, 1, -1, 0, 1, -1], "0 to 3.*-1, and 2 of 6.*withheld"),
        ([0, 1, 255, 0, 1, 2], "0 to 3.*255, and 1 of 6"),
        ([0, 1, 2**40, 0, 1, 2], "Received: 1099511627776"),
        (list("abcabc"), "counted from 0. Received: values of type <U1"),
        ([0, 1, None, 0, 1, 2], "whole numbers.*nan"),
        ([[0], [1, 2], [0], [1], [2], [0]], "values of type list"),
    ],
)
def test_other_labels_are_refused(given, message):
    with pytest.raises(ValueError, match=message) as caught:
        labels_lib.class_numbers(given, count=6, num_classes=4)
    assert "\n" not in str(caught.value)


def test_a_number_that_is_no_class_is_not_counted_to():
    with pytest.raises(ValueError, match="Received: 20261126"):
        labels_lib.class_numbers([0, 20261126], count=2)


def examples(*labels, shape=(4, 4, 3), **options):
    images = np.zeros((len(labels), *shape), np.uint8)
    return datasets.Examples(images, labels, **options)


def test_a_test_set_has_the_classes_of_the_training_set():
    dataset = datasets.Dataset("a", examples(0, 1, 2), examples(0, 1), "here")
    assert dataset.test.num_classes == 3
    with pytest.raises(ValueError, match="0 to 1 to train, 0 to 2 to test"):
        datasets.Dataset("a", examples(0, 1), examples(0, 1, 2), "here")


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (examples(0, 1, shape=(5, 5, 3)), r"\(4, 4, 3\), test \(5, 5, 3\)"),
        (examples(0, 1, shape=(4, 4, 1)), r"\(4, 4, 3\), test \(4, 4, 1\)"),
        (
            datasets.Examples(np.zeros((2, 4, 4, 3), "uint8")),
            "test images need labels",
        ),
    ],
)
def test_a_test_set_that_does_not_fit_is_refused(test, message):
    with pytest.raises(ValueError, match=message):
        datasets.Dataset("a", examples(0, 1), test, "here")


def test_a_dataset_has_two_classes_and_their_names():
    with pytest.raises(ValueError, match="Received: 1 class"):
        datasets.Dataset("a", examples(0, 0), None, "here")
    with pytest.raises(ValueError, match="Received: 3 names for 2 classes"):
        datasets.Dataset("a", examples(0, 1), None, "here", list("abc"))
    with pytest.raises(ValueError, match=r"printable .*: 'b\\n' in the data$"):
        datasets.Dataset("a", examples(0, 1), None, "here", ["a", "b\n"])

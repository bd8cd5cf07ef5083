"""Examples in memory and encoded, and joined datasets."""

import dataclasses

import numpy as np
import pytest
from example_sets import encoded, numbered, single_valued

from kd_keras.data import datasets, joining


def test_arrays_from_anywhere_are_examples():
    examples = datasets.Examples(np.zeros((6, 5, 5)), [0, 1, 2, 0, 1, 2])
    assert examples.image_shape == (5, 5, 1)
    assert examples.num_classes == 3
    with pytest.raises(ValueError, match="6 images, 2 labels"):
        datasets.Examples(np.zeros((6, 5, 5)), [0, 1])


def test_fingerprints_stay_what_stores_were_made_with():
    examples = numbered(300)
    assert examples.fingerprint == (
        "d920ac1fc32da0e7852fd6e42bfc1449032d4e66ca9c86eb440b634f452fe3c2"
    )
    assert encoded(examples).images_record["fingerprint"] == (
        "99b1d52aae42a4193b4a1a79d2a6f7409812af494b3e1b08bcd28ab50dfc1b88"
    )
    # The labels do not count, since the teacher does not see them.
    unlabelled = datasets.Examples(examples.images)
    assert unlabelled.fingerprint == examples.fingerprint
    subset = examples.subset(np.arange(299))
    assert subset.fingerprint != examples.fingerprint


def test_joined_datasets_have_the_classes_of_all():
    first = single_valued("first", class_names="abc")
    second = single_valued("second", class_names="xy", count=4)
    joined = joining.join([first, second])
    assert joined.name == "first+second"
    assert joined.class_names == ["a", "b", "c", "x", "y"]
    assert joined.train.num_classes == joined.test.num_classes == 5
    assert joined.train.labels.tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 3, 4]
    assert joined.test.labels.tolist() == [0, 2, 1, 3, 3]
    values = joined.train.images[:, 0, 0, 0].tolist()
    assert values == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3]
    # Each id belongs to one example, whichever set it came from.
    assert sorted(joined.train.ids) == list(range(10))


def test_datasets_that_cannot_be_joined_are_refused():
    first = single_valued("first", class_names="abc")
    with pytest.raises(ValueError, match="one size.*'second': .7, 7, 1"):
        joining.join(
            [
                first,
                single_valued("second", class_names="xy", side=7),
            ]
        )
    flat = dataclasses.replace(first, name="flat", test=None)
    with pytest.raises(ValueError, match="test examples.*: flat"):
        joining.join([first, flat])

"""Validation splits and transfer sets."""

import nets
import numpy as np
import pytest
from example_sets import encoded, in_memory, numbered, numbers

from kd_keras.data import datasets, pipeline, splits


@pytest.mark.parametrize("kind", [in_memory, encoded])
def test_parts_are_disjoint_complete_and_the_same_again(kind):
    rest, part = splits.split_off(kind(numbered(100)), 30)
    assert (len(rest), len(part)) == (70, 30)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([rest.ids, part.ids])), np.arange(100)
    )
    again = splits.split_off(kind(numbered(100)), 30)[1]
    np.testing.assert_array_equal(part.ids, again.ids)
    shown = [
        numbers(images)
        for images, _ in pipeline.evaluation_batches(part, batch_size=7)
    ]
    np.testing.assert_array_equal(np.concatenate(shown), part.ids)


def test_splits_stay_what_stores_and_results_were_made_with():
    _, part = splits.split_off(numbered(100), 8)
    assert part.ids.tolist() == [11, 12, 20, 27, 38, 60, 86, 91]
    chosen = splits.transfer_set(numbered(100), fraction=0.08, seed=1)
    assert chosen.ids.tolist() == [35, 53, 60, 61, 68, 70, 74, 79]


def test_validation_drops_no_example():
    examples = datasets.Examples(
        nets.make_images(101).astype("uint8"), nets.make_labels(101)
    )
    train, validation = splits.split_off(examples, 31)
    assert not set(train.ids) & set(validation.ids)
    sizes = [
        len(labels)
        for _, labels in pipeline.evaluation_batches(validation, batch_size=8)
    ]
    # A last batch of 7 included.
    assert sum(sizes) == 31


def of_classes(*counts):
    """Numbered examples, the first `counts[0]` of class 0 and so on."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return datasets.Examples(numbered(len(labels)).images, labels)


@pytest.mark.parametrize(
    ("counts", "share", "held_out"),
    [
        ((20, 20, 20, 20, 20), 0.1, [2, 2, 2, 2, 2]),
        # Rounded, but one at least, and one stays.
        ((100, 16, 4, 2, 1), 0.1, [10, 2, 1, 1, 0]),
        ((10, 2, 3), 0.9, [9, 1, 2]),
    ],
)
def test_a_share_is_of_each_class(counts, share, held_out):
    examples = of_classes(*counts)
    rest, part = splits.split_off(examples, share)
    assert np.bincount(part.labels, minlength=len(counts)).tolist() == held_out
    assert sorted([*rest.ids, *part.ids]) == list(range(sum(counts)))
    again = splits.split_off(examples, share)[1]
    np.testing.assert_array_equal(part.ids, again.ids)
    # Not the first ones, but the first of the random order.
    _, few = splits.split_off(of_classes(100), 0.08)
    np.testing.assert_array_equal(
        few.ids, splits.split_off(numbered(100), 8)[1].ids
    )


def test_a_share_of_examples_without_labels_is_of_all():
    examples = datasets.Examples(numbered(30).images)
    assert len(splits.split_off(examples, 0.1)[1]) == 3
    assert len(splits.split_off(examples, 0.001)[1]) == 1
    _, part = splits.split_off(examples, 0.2)
    _, six = splits.split_off(examples, 6)
    np.testing.assert_array_equal(part.ids, six.ids)


@pytest.mark.parametrize("examples", [numbered(30), of_classes(15, 15)])
def test_a_split_with_an_empty_part_is_refused(examples):
    message = "change data.test_fraction. Received: 30 of 30 to hold out"
    with pytest.raises(ValueError, match=message):
        splits.split_off(examples, 30, field="data.test_fraction")


def test_a_share_of_classes_of_one_image_is_refused():
    data = dataset(of_classes(1, 1, 1))
    with pytest.raises(
        ValueError,
        match="2 images or more. Received: 3 images, 1 of each class; .* set "
        "data.validation_examples=0 ",
    ):
        splits.split(data, validation_examples=0.1)
    parts = splits.split(data, validation_examples=0)
    assert list(parts) == ["train"] and len(parts["train"]) == 3


def dataset(examples, test=None):
    return datasets.Dataset(name="x", train=examples, test=test, source="")


def test_a_dataset_is_split_into_train_validation_and_test():
    test = numbered(20)
    parts = splits.split(dataset(numbered(100), test), validation_examples=30)
    assert list(parts) == ["train", "validation", "test"]
    assert [len(part) for part in parts.values()] == [70, 30, 20]
    assert parts["test"] is test
    _, validation = splits.split_off(numbered(100), 30)
    np.testing.assert_array_equal(parts["validation"].ids, validation.ids)


def test_max_train_examples_does_not_change_the_validation_part():
    options = {"validation_examples": 30}
    whole = splits.split(dataset(numbered(100)), **options)
    few = splits.split(dataset(numbered(100)), max_train_examples=25, **options)
    assert len(few["train"]) == 25
    assert set(few["train"].ids) < set(whole["train"].ids)
    np.testing.assert_array_equal(
        few["validation"].ids, whole["validation"].ids
    )


def test_examples_without_labels_have_no_validation_part():
    examples = datasets.Examples(numbered(100).images)
    parts = splits.split(dataset(examples), validation_examples=30)
    assert list(parts) == ["train"] and len(parts["train"]) == 100


@pytest.mark.slow
@pytest.mark.parametrize("kind", [in_memory, encoded])
def test_a_transfer_set_has_the_given_classes_and_share(kind):
    # 500 examples, class = id modulo 5; 60 are held out before.
    rest, held_out = splits.split_off(kind(numbered(500, num_classes=5)), 60)

    def chosen(**options):
        subset = splits.transfer_set(rest, **options)
        assert set(subset.ids) <= set(rest.ids)
        batches = subset.batches(100, labels=True)
        ids, images, labels = map(np.concatenate, zip(*batches))
        np.testing.assert_array_equal(ids, subset.ids)
        np.testing.assert_array_equal(numbers(images), ids)
        np.testing.assert_array_equal(labels, ids % 5)
        return ids

    of_class = np.bincount(rest.ids % 5)
    without = chosen(omit_classes=(3,))
    assert len(without) == 440 - of_class[3] and not (without % 5 == 3).any()
    pair = chosen(only_classes=(1, 2))
    assert len(pair) == of_class[1] + of_class[2]
    assert set(pair % 5) == {1, 2}
    assert len(chosen(fraction=0.1)) == 44
    half = chosen(only_classes=(1, 2), fraction=0.5)
    assert len(half) == round(len(pair) / 2) and set(half) < set(pair)
    even = chosen(fraction=0.1, balanced=True)
    np.testing.assert_array_equal(np.bincount(even % 5), [8] * 5)
    # The seed decides which examples are drawn.
    np.testing.assert_array_equal(chosen(fraction=0.1), chosen(fraction=0.1))
    assert set(chosen(fraction=0.1)) != set(chosen(fraction=0.1, seed=1))
    assert splits.transfer_set(rest) is rest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"omit_classes": (5,)}, "0 to 4. Received: 5"),
        ({"only_classes": (1, 7)}, "0 to 4. Received: 7"),
        ({"omit_classes": (0, 1, 2, 3, 4)}, "must have an example.*of the 20"),
        ({"fraction": 0.01}, "must have an example.*fraction=0.01"),
        ({"balanced": True, "fraction": 0.2}, "0 of each to choose"),
        ({"balanced": True}, "4 of each to choose, 3 in the smallest of 5"),
    ],
)
def test_an_impossible_transfer_set_is_refused(options, message):
    # The five classes have 3, 5, 4, 4 and 4 examples.
    positions = np.r_[0, 1, 2, 3, 4, 5:20, 1]
    examples = numbered(20, num_classes=5).subset(np.delete(positions, 15))
    with pytest.raises(ValueError, match=message):
        splits.transfer_set(examples, **options)


def test_classes_of_a_set_without_labels_cannot_be_chosen():
    examples = datasets.Examples(numbered(20).images)
    assert len(splits.transfer_set(examples, fraction=0.5)) == 10
    for options in ({"omit_classes": (1,)}, {"balanced": True}):
        with pytest.raises(ValueError, match="need labels"):
            splits.transfer_set(examples, **options)

"""Splits a dataset into training, validation and test examples."""

import numpy as np

from kd_keras.data import order

# The split is part of the data, not of the run: every seed validates on the
# same examples.
_SPLIT_SEED = 0


def split(dataset, *, validation_examples, max_train_examples=0):
    """Splits a dataset into disjoint parts, the same ones in every run.

    Args:
        dataset: `datasets.Dataset`.
        validation_examples: int, the number of training examples to hold out.
            Ignored if there are no labels to validate with.
        max_train_examples: int, the largest number of the remaining training
            examples to keep; 0 for all.

    Returns:
        Dict of `train` and, as far as they exist, `validation` and `test`:
        `Examples` or `StreamedExamples`.

    Raises:
        ValueError: if no training example would be left.
    """
    train, validation = dataset.train, None
    if train.labelled:
        train, validation = split_off(train, validation_examples)
    if 0 < max_train_examples < len(train):
        _, train = split_off(train, max_train_examples)
    parts = {"train": train, "validation": validation, "test": dataset.test}
    return {name: part for name, part in parts.items() if part is not None}


def split_off(examples, count):
    """Splits `count` random examples off, the same ones in every run.

    Args:
        examples: `Examples` or `StreamedExamples`.
        count: int.

    Returns:
        `(rest, part)`, disjoint; `part` is None for `count=0`.

    Raises:
        ValueError: if nothing would be left.
    """
    if not count:
        return examples, None
    if count >= len(examples):
        raise ValueError(
            "examples must be left for training: lower "
            "data.validation_examples or data.test_fraction. Received: "
            f"{count} of {len(examples)} to split off"
        )
    positions = order.epoch_order(examples.ids, seed=_SPLIT_SEED, epoch=0)
    positions = positions.numpy()
    return (
        examples.subset(np.sort(positions[count:])),
        examples.subset(np.sort(positions[:count])),
    )


def spread(examples, count):
    """Selects up to `count` examples, spread evenly over a set in memory.

    A stream stays as it is: finding examples in it reads all of it.
    """
    if len(examples) <= count or not hasattr(examples, "at"):
        return examples
    return examples.subset(np.linspace(0, len(examples) - 1, count).astype(int))


def transfer_set(
    examples,
    *,
    omit_classes=(),
    only_classes=(),
    fraction=1.0,
    balanced=False,
    seed=0,
):
    """Selects the examples that student and baseline are trained on.

    Args:
        examples: `Examples` or `StreamedExamples`.
        omit_classes: tuple of ints, classes to leave out.
        only_classes: tuple of ints, the only classes to keep; empty for all.
        fraction: float in (0, 1], the share of these classes' examples to
            keep.
        balanced: bool; True keeps equally many examples of each class.
        seed: int, for the random selection.

    Returns:
        Subset of `examples`, in their order; `examples` itself if all are
        kept.

    Raises:
        ValueError: if a class does not exist, labels are needed and missing,
            or there are too few examples.
    """
    if fraction == 1 and not (omit_classes or only_classes or balanced):
        return examples
    positions = order.epoch_order(examples.ids, seed=seed, epoch=0).numpy()
    if omit_classes or only_classes or balanced:
        labels = _labels(examples)
        _check_classes(omit_classes + only_classes, examples.num_classes)
        kept = np.isin(labels, omit_classes, invert=True)
        if only_classes:
            kept = np.isin(labels, only_classes)
        positions = positions[kept[positions]]
    count = round(fraction * len(positions))
    if not count:
        raise ValueError(
            "the transfer set must have an example. Received: none of the "
            f"{len(examples)} training examples by transfer.omit_classes="
            f"{omit_classes}, only_classes={only_classes}, fraction={fraction}"
        )
    if balanced:
        chosen = _balanced(positions, labels, count)
    else:
        chosen = positions[:count]
    return examples.subset(np.sort(chosen))


def _labels(examples):
    if not examples.labelled:
        raise ValueError(
            "transfer.omit_classes, only_classes and balanced need labels. "
            "Received: examples without labels"
        )
    return examples.labels


def _check_classes(classes, num_classes):
    for number in classes:
        if number >= num_classes:
            raise ValueError(
                "transfer.omit_classes and only_classes must be classes of "
                f"the data, 0 to {num_classes - 1}. Received: {number}"
            )


def _balanced(positions, labels, count):
    """Selects the first of each class, `count` or slightly fewer in all."""
    classes = np.unique(labels[positions])
    share = count // len(classes)
    chosen = [
        positions[labels[positions] == number][:share] for number in classes
    ]
    smallest = min(map(len, chosen))
    if not 0 < share == smallest:
        raise ValueError(
            "transfer.balanced needs equally many examples of each class; "
            f"transfer.fraction sets how many. Received: {share} of each to "
            f"choose, {smallest} in the smallest of {len(classes)}"
        )
    return np.concatenate(chosen)

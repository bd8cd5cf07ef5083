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
        validation_examples: number or share of the training examples to hold
            out; see `split_off`. Ignored if there are no labels to validate
            with, or if the dataset has a validation set of its own.
        max_train_examples: int, the largest number of the remaining training
            examples to keep; 0 for all.

    Returns:
        Dict of `train` and, as far as they exist, `validation` and `test`:
        `Examples`.

    Raises:
        ValueError: if no training example would be left.
    """
    train, validation = dataset.train, dataset.validation
    if train.labelled and validation is None:
        train, validation = split_off(
            train, validation_examples, field="data.validation_examples"
        )
    if 0 < max_train_examples < len(train):
        _, train = split_off(train, max_train_examples)
    parts = {"train": train, "validation": validation, "test": dataset.test}
    return {name: part for name, part in parts.items() if part is not None}


def split_off(examples, amount, *, field="the amount"):
    """Splits random examples off, the same ones in every run.

    Args:
        examples: `Examples`.
        amount: int, how many to draw from all examples; or a float below 1,
            the share to draw from each class. A class of two examples or more
            is then in both parts. Without labels it is the share of all.
        field: str, what sets the amount, for the message.

    Returns:
        `(rest, part)`, disjoint; `part` is None for `amount=0`.

    Raises:
        ValueError: if one of them would be empty.
    """
    if not amount:
        return examples, None
    chosen = np.zeros(len(examples), bool)
    positions = order.epoch_order(examples.ids, seed=_SPLIT_SEED, epoch=0)
    positions = positions.numpy()
    if amount >= 1:
        chosen[positions[:amount]] = True
    elif examples.labelled:
        chosen[_of_each_class(positions, examples.labels, amount)] = True
    else:
        chosen[positions[: max(round(amount * len(positions)), 1)]] = True
    if chosen.all() or not chosen.any():
        _refuse(examples, amount, field)
    return tuple(
        examples.subset(np.flatnonzero(part)) for part in (~chosen, chosen)
    )


def _refuse(examples, amount, field):
    """Raises a ValueError for a split with an empty part."""
    if amount < 1 and examples.labelled:
        raise ValueError(
            f"{field} is a share of each class, so that one of them must have "
            f"2 images or more. Received: {len(examples)} images, 1 of each "
            f"class; add images, or set {field}=0 to hold none out"
        )
    raise ValueError(
        "examples must be held out, and others be left for training: change "
        f"{field}. Received: {amount} of {len(examples)} to hold out"
    )


def _of_each_class(positions, labels, share):
    """Selects the first positions of each class; at least one stays."""
    by_class = positions[np.argsort(labels[positions], kind="stable")]
    _, starts, counts = np.unique(
        labels[by_class], return_index=True, return_counts=True
    )
    wanted = np.maximum(np.round(share * counts).astype(int), 1)
    wanted = np.minimum(wanted, counts - 1)
    ranks = np.arange(len(by_class)) - np.repeat(starts, counts)
    return by_class[ranks < np.repeat(wanted, counts)]


def spread(examples, count):
    """Selects up to `count` examples, spread evenly over a set."""
    if len(examples) <= count:
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
        examples: `Examples`.
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

"""Splits a dataset into training, validation and test examples."""

import numpy as np

from kd_keras.data import augmentation as views

# The split is part of the data, not of the run: every seed validates on the
# same examples.
_SPLIT_SEED = 0


def split(dataset, *, validation_examples, max_train_examples=0):
    """Splits a dataset into disjoint parts, the same ones in every run.

    Args:
        dataset: `datasets.Dataset`.
        validation_examples: int, how many of the training examples are held
            out. Ignored without labels, which validation needs.
        max_train_examples: int, how many of the others are kept at most; 0
            for all.

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
    """Splits `count` examples off, the same ones in every run.

    Args:
        examples: `Examples` or `StreamedExamples`.
        count: int.

    Returns:
        `(rest, split)`, disjoint; `split` is None for `count=0`.

    Raises:
        ValueError: if nothing would be left.
    """
    if not count:
        return examples, None
    if count >= len(examples):
        raise ValueError(
            "data.validation_examples must be less than the number of "
            f"training examples. Received: {count} of {len(examples)}"
        )
    order = views.epoch_order(examples.ids, seed=_SPLIT_SEED, epoch=0).numpy()
    return (
        examples.subset(np.sort(order[count:])),
        examples.subset(np.sort(order[:count])),
    )


def transfer_set(
    examples,
    *,
    omit_classes=(),
    only_classes=(),
    fraction=1.0,
    balanced=False,
    seed=0,
):
    """Chooses the examples that student and baseline learn from.

    Args:
        examples: `Examples` or `StreamedExamples`.
        omit_classes: tuple of ints, the classes that are left out.
        only_classes: tuple of ints, the only ones that are kept; empty for
            all.
        fraction: float in (0, 1], the share of what is left then.
        balanced: bool; True keeps equally many examples of each class.
        seed: int, which the choice follows from.

    Returns:
        Subset of `examples`, in their order; `examples` if all are kept.

    Raises:
        ValueError: if classes are named that there are not, labels are
            needed that there are not, or nothing or too little is left.
    """
    if fraction == 1 and not (omit_classes or only_classes or balanced):
        return examples
    order = views.epoch_order(examples.ids, seed=seed, epoch=0).numpy()
    if omit_classes or only_classes or balanced:
        labels = _labels_to_choose_by(examples)
        _check_classes(omit_classes + only_classes, examples.num_classes)
        kept = np.isin(labels, omit_classes, invert=True)
        if only_classes:
            kept = np.isin(labels, only_classes)
        order = order[kept[order]]
    count = round(fraction * len(order))
    if not count:
        raise ValueError(
            "the transfer set must have an example. Received: none of the "
            f"{len(examples)} training examples by transfer.omit_classes="
            f"{omit_classes}, only_classes={only_classes}, fraction={fraction}"
        )
    order = _balanced(order, labels, count) if balanced else order[:count]
    return examples.subset(np.sort(order))


def _labels_to_choose_by(examples):
    if not examples.labelled:
        raise ValueError(
            "transfer.omit_classes, only_classes and balanced need labels. "
            "Received: examples without any"
        )
    return examples.labels


def _check_classes(classes, num_classes):
    for number in classes:
        if number >= num_classes:
            raise ValueError(
                "transfer.omit_classes and only_classes must be classes of "
                f"the data, 0 to {num_classes - 1}. Received: {number}"
            )


def _balanced(order, labels, count):
    """The first of each class, `count` or a few less in all."""
    classes = np.unique(labels[order])
    share = count // len(classes)
    chosen = [order[labels[order] == number][:share] for number in classes]
    smallest = min(map(len, chosen))
    if not 0 < share == smallest:
        raise ValueError(
            "transfer.balanced needs equally many examples of each class; "
            f"transfer.fraction sets how many. Received: {share} of each to "
            f"choose, {smallest} in the smallest of {len(classes)}"
        )
    return np.concatenate(chosen)

"""Selects the training examples whose labels are used, if only a few are."""

import dataclasses

import numpy as np

from kd_keras.data import datasets, listed_ids, order


@dataclasses.dataclass(frozen=True)
class FewLabels:
    """Choice of the training examples that keep their labels; false if all do.

    Attributes:
        per_class: int, how many of each class; 0 for all, or if a file lists
            the examples.
        listed: str, path of a file that lists them, or empty.
        passes: int, number of passes over them in one epoch.
        section: str, the section of the configuration, for errors.
    """

    per_class: int = 0
    listed: str = ""
    passes: int = 1
    section: str = "data"

    def __bool__(self):
        return bool(self.per_class or self.listed)

    def __str__(self):
        chosen = f"{self.per_class:,} of each class"
        return chosen if self.per_class else "those of a list"


def of_all(config):
    """The `FewLabels` of every stage, from the resolved configuration."""
    data = config.data
    return FewLabels(
        data.labels_per_class, data.labelled_ids, data.labelled_passes
    )


def of_baseline(config):
    """The `FewLabels` of the baseline: its own, unless all stages have few."""
    own = config.baseline
    if of_all(config) or not own.labels_per_class:
        return of_all(config)
    return FewLabels(
        own.labels_per_class, passes=own.labelled_passes, section="baseline"
    )


def labelled(examples, few, *, seed):
    """Selects the examples that a network learns from with their labels.

    Args:
        examples: `Examples` with labels.
        few: `FewLabels`, true.
        seed: int, for the choice of examples of each class.

    Returns:
        Subset of `examples`, in their order.

    Raises:
        ValueError: if labels are missing, a class has too few, or the file
            cannot be used.
    """
    field = (
        f"{few.section}.{'labelled_ids' if few.listed else 'labels_per_class'}"
    )
    if not examples.labelled:
        raise ValueError(
            f"{field} needs labels to choose from. Received: examples without "
            "labels"
        )
    if few.listed:
        positions = listed_ids.positions(examples, few.listed, field=field)
    else:
        positions = _of_each_class(examples, few.per_class, seed, field)
    return examples.subset(np.sort(positions))


def unlabelled(examples):
    """The same examples without labels; the number of classes stays known."""
    return datasets.Examples(
        examples.reader, num_classes=examples.num_classes, ids=examples.ids
    )


def _of_each_class(examples, count, seed, field):
    """Selects the first `count` of each class, by a hash of seed and id.

    An example's place does not depend on the others: a larger count selects
    all examples of a smaller count, too.
    """
    draws = order.Draws(examples.ids, seed=seed, view=0, purpose="labels")
    hashes = draws.integers("order", 2**31 - 1).numpy()
    by_class = np.lexsort((examples.ids, hashes, examples.labels))
    counts = np.bincount(examples.labels, minlength=examples.num_classes)
    if counts.min() < count:
        raise ValueError(
            f"{field} must be at most the number of training images of each "
            f"class, or 0 for all. Received: {count}, and class "
            f"{counts.argmin()} with {counts.min()}"
        )
    ranks = np.arange(len(by_class)) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    return by_class[ranks < count]

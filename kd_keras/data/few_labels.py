"""Selects the training examples whose labels are used, where few are."""

import numpy as np

from kd_keras.data import datasets, listed_ids, order


def is_asked_for(fields):
    """Whether `config.data` leaves only some training examples their labels."""
    return bool(fields.labels_per_class or fields.labelled_ids)


def labelled(examples, fields, *, seed):
    """Selects the examples that teacher and baseline learn from.

    Args:
        examples: `Examples` with labels.
        fields: `config.data`; see `labels_per_class` and `labelled_ids`.
        seed: int, for the choice of `labels_per_class`.

    Returns:
        Subset of `examples`, in their order.

    Raises:
        ValueError: if labels are missing, a class has too few, or the file of
            `labelled_ids` cannot be used.
    """
    if not examples.labelled:
        raise ValueError(
            "data.labels_per_class and data.labelled_ids need labels to choose "
            "from. Received: examples without labels"
        )
    if fields.labelled_ids:
        positions = listed_ids.positions(
            examples, fields.labelled_ids, field="data.labelled_ids"
        )
    else:
        positions = _of_each_class(examples, fields.labels_per_class, seed)
    return examples.subset(np.sort(positions))


def unlabelled(examples):
    """The same examples without labels; the number of classes stays known."""
    return datasets.Examples(
        examples.reader, num_classes=examples.num_classes, ids=examples.ids
    )


def _of_each_class(examples, count, seed):
    """Selects the first `count` of each class, by a hash of seed and id.

    An example's place does not depend on the others: the examples of a smaller
    count are among those of a larger one.
    """
    draws = order.Draws(examples.ids, seed=seed, view=0, purpose="labels")
    hashes = draws.integers("order", 2**31 - 1).numpy()
    by_class = np.lexsort((examples.ids, hashes, examples.labels))
    counts = np.bincount(examples.labels, minlength=examples.num_classes)
    if counts.min() < count:
        raise ValueError(
            "data.labels_per_class must be at most the number of training "
            f"images of each class. Received: {count}, and class "
            f"{counts.argmin()} with {counts.min()}"
        )
    ranks = np.arange(len(by_class)) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    return by_class[ranks < count]

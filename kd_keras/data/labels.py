"""Checks the labels of examples: one class number for each image."""

import numpy as np

from kd_keras.models import class_names

# A larger label is no class number, so no number of classes is guessed from it.
_LARGEST_GUESS = 1_000_000


def class_numbers(labels, *, count, num_classes=None):
    """Converts labels to class numbers.

    Args:
        labels: array `(n,)` or `(n, 1)` of whole numbers, of any type; or
            `(n, num_classes)`, one-hot.
        count: int, the number of images.
        num_classes: int, or None if it is unknown.

    Returns:
        `(numbers, num_classes)`: int32 array `(n,)`; and `num_classes`, by
        default the columns of one-hot labels, or the largest label plus one.

    Raises:
        ValueError: unless there is one class from 0 to `num_classes - 1` for
            each image. Soft labels, several classes for an image and -1, the
            sign of labels that are withheld, are refused.
    """
    labels = _as_numbers(labels)
    if labels.shape[:1] != (count,):
        raise ValueError(
            "there must be one label for each image. Received: "
            f"{count} images, {len(np.atleast_1d(labels))} labels"
        )
    if labels.ndim == 2 and labels.shape[1] > 1:
        num_classes = num_classes or labels.shape[1]
        labels = _from_one_hot(labels, num_classes)
    if labels.size != count:
        raise ValueError(
            "there must be one label for each image: (n,), (n, 1) or one-hot "
            f"(n, num_classes). Received: shape {labels.shape}"
        )
    labels = labels.reshape(-1)
    whole = np.isfinite(labels) & (labels == np.floor(labels))
    if not whole.all():
        raise ValueError(
            "labels must be whole numbers, the classes. Received: "
            f"{labels[~whole][0]}"
        )
    check_range(labels, num_classes or _LARGEST_GUESS)
    labels = labels.astype("int32")
    return labels, num_classes or int(labels.max()) + 1


def check_range(labels, num_classes):
    """Raises a ValueError unless labels are from 0 to `num_classes - 1`.

    Args:
        labels: array `(n,)` of whole numbers.
        num_classes: int.
    """
    wrong = (labels < 0) | (labels >= num_classes)
    if not wrong.any():
        return
    hint = ""
    if labels[wrong][0] == -1:
        hint = "; -1 stands for a label that is withheld: leave these out"
    raise ValueError(
        f"labels must be from 0 to {num_classes - 1}, a class each. Received: "
        f"{int(labels[wrong][0])}, and {wrong.sum()} of {len(labels)} out of "
        f"this range{hint}"
    )


def _as_numbers(labels):
    try:
        labels = np.asarray(labels)
        if labels.dtype == object:
            # A float64 holds every class number exactly.
            labels = labels.astype("float64")
    except (ValueError, TypeError):
        pass
    # Booleans, integers and floats.
    if getattr(labels, "dtype", np.dtype(object)).kind in "biuf":
        return labels
    shown = getattr(labels, "dtype", type(labels).__name__)
    raise ValueError(
        "labels must be class numbers, counted from 0. Received: values of "
        f"type {shown}"
    )


def _from_one_hot(labels, num_classes):
    """Converts one-hot rows `(n, num_classes)` to classes `(n,)`."""
    one_hot = ((labels == 0) | (labels == 1)).all() and (
        (labels == 1).sum(axis=1) == 1
    ).all()
    if one_hot and labels.shape[1] == num_classes:
        return labels.argmax(axis=1)
    raise ValueError(
        "labels of shape (n, num_classes) must be one-hot: a 1 for the class, "
        "and 0 for all others (soft labels and several classes for an image "
        f"cannot be used). Received: shape {labels.shape} for {num_classes} "
        "classes"
    )


def check_classes(examples, names):
    """Raises a ValueError unless there are two classes or more, one name each.

    The names must be printable.

    Args:
        examples: `Examples`.
        names: list of str, or None.
    """
    num_classes = examples.num_classes
    if examples.labelled and num_classes < 2:
        raise ValueError(
            "there must be two classes or more; images without classes need "
            f"no labels (a flat folder). Received: {num_classes} class"
        )
    if None not in (names, num_classes) and len(names) != num_classes:
        raise ValueError(
            "there must be one name for each class. Received: "
            f"{len(names)} names for {num_classes} classes"
        )
    if names is not None:
        class_names.check_printable(names)

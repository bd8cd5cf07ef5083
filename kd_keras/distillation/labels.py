"""Integer labels, sample weights and the cross-entropy on labels."""

import keras
import tensorflow as tf

from kd_keras.utils import graph_checks

_NOT_WHOLE = "labels must be whole numbers, the classes"
_NOT_ONE_HOT = "labels with a column for each class must be one-hot"
_OUT_OF_RANGE = "labels must be classes that the logits have, from 0 on"
_SEVERAL_WEIGHTS = "sample_weight must be the same for all entries of y"
# The text of an error, and the rest of it with the numbers of the Assert.
EXPLANATIONS = (
    (_NOT_WHOLE, "{} such labels that are none, of {} in a batch"),
    (
        _NOT_ONE_HOT,
        "{} of {} rows of a batch that are not a 1 for the class and 0 for all "
        "others (soft labels and several classes cannot be used)",
    ),
    (
        _OUT_OF_RANGE,
        "labels from {} to {} for {} classes (-1 often stands for a label that "
        "is withheld)",
    ),
    (_SEVERAL_WEIGHTS, "{} weights of a batch that differ"),
)


def integer_labels(labels):
    """Converts labels to integers of shape `(batch,)`; None stays None.

    Args:
        labels: classes `(batch,)` or `(batch, 1)`, of any type of numbers; or
            `(batch, num_classes)`, one-hot; or None.

    Returns:
        int32 or int64 tensor, after operations that fail unless the labels
        are whole numbers or one-hot.

    Raises:
        ValueError: if they have another shape, or are no numbers.
    """
    if labels is None:
        return None
    labels = tf.convert_to_tensor(labels)
    if labels.dtype.is_bool:
        labels = tf.cast(labels, tf.int32)
    is_number = labels.dtype.is_integer or labels.dtype.is_floating
    if not is_number or labels.shape.rank not in (1, 2):
        raise ValueError(
            "labels must be classes of shape (batch,) or (batch, 1), or "
            f"one-hot. Received: {labels.dtype.name} of shape {labels.shape}"
        )
    if labels.shape.rank == 2 and labels.shape[-1] != 1:
        return _from_one_hot(labels)
    labels = tf.reshape(labels, [-1])
    if labels.dtype.is_floating:
        not_whole = tf.math.count_nonzero(labels != tf.floor(labels))
        labels = graph_checks.checked(
            labels, not_whole == 0, _NOT_WHOLE, not_whole, tf.size(labels)
        )
    if labels.dtype not in (tf.int32, tf.int64):
        labels = tf.cast(labels, tf.int32)
    return labels


def hard_loss(labels, logits):
    """Cross-entropy with integer labels: float32 `(batch,)`, in nats."""
    labels = _in_range(labels, logits)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def accuracy(labels, logits):
    """1 where the top class is the label, else 0: float32 `(batch,)`."""
    top = tf.argmax(logits, axis=-1)
    labels = _in_range(labels, logits)
    return tf.cast(tf.equal(top, tf.cast(labels, top.dtype)), tf.float32)


def example_weights(sample_weight, per_example):
    """Sample weights as float32 `(batch,)`; None gives ones.

    Args:
        sample_weight: tensor of `batch` elements, or None; or a dict of equal
            ones, which Keras makes for arrays whose `y` is a dict.
        per_example: float32 tensor `(batch,)`.

    Raises:
        ValueError: if there are several weights for an example.
    """
    if sample_weight is None:
        return tf.ones_like(per_example)
    if isinstance(sample_weight, dict):
        sample_weight = _of_all_entries(tf.nest.flatten(sample_weight))
    weights = tf.cast(sample_weight, tf.float32)
    rank = weights.shape.rank
    if rank and not weights.shape[1:].is_compatible_with([1] * (rank - 1)):
        raise ValueError(
            "sample_weight must be a number for each example, (batch,). "
            f"Received: shape {weights.shape}"
        )
    return tf.reshape(weights, [-1])


def check_columns(labels, num_classes):
    """Raises a ValueError for one-hot labels of another number of classes.

    Args:
        labels: as `fit` takes them, or None.
        num_classes: int, the number of logits, or None if it is unknown.
    """
    shape = tf.TensorShape(getattr(labels, "shape", None))
    columns = shape[-1] if shape.rank == 2 else None
    if columns not in (None, 1) and num_classes not in (None, columns):
        raise ValueError(
            "labels with a column for each class must have as many columns as "
            f"the network has logits. Received: {columns} columns, "
            f"{num_classes} logits"
        )


def check_given(x, y, sample_weight, class_weight):
    """Raises a ValueError for text, and for weights that Keras cannot use.

    Args:
        x: as `fit` takes it.
        y: as `fit` takes it: labels, a dict with `labels`, or None.
        sample_weight: as `fit` takes it.
        class_weight: as `fit` takes it.
    """
    labels = y.get("labels") if isinstance(y, dict) else y
    dtype = getattr(labels, "dtype", None)
    if getattr(dtype, "kind", "") in ("S", "U") or dtype == tf.string:
        raise ValueError(
            "labels must be classes, numbers from 0 on. Received: text"
        )
    if y is None and sample_weight is not None:
        raise ValueError(
            "sample_weight needs a y: labels, {'teacher_logits': ...}, or "
            "both (Keras drops the weights without). Received: y=None"
        )
    is_unlabelled = y is None and hasattr(x, "shape")
    if isinstance(x, tf.data.Dataset):
        _, y, _ = keras.utils.unpack_x_y_sample_weight(x.element_spec)
        is_unlabelled = y is None
    if class_weight is not None and (is_unlabelled or isinstance(y, dict)):
        raise ValueError(
            "class_weight needs labels alone as y; sample_weight takes a "
            "weight for each example. Received: "
            f"{'y=None' if y is None else 'a dict as y'}"
        )


def _of_all_entries(weights):
    """The first of several equal sample weights, a list of tensors."""
    differing = tf.math.count_nonzero(tf.stack(weights) != weights[0])
    return graph_checks.checked(
        weights[0], differing == 0, _SEVERAL_WEIGHTS, differing
    )


def _from_one_hot(labels):
    """Converts one-hot labels `(batch, num_classes)` to integers."""
    ones = tf.math.count_nonzero(labels == 1, axis=-1)
    others = tf.math.count_nonzero((labels != 1) & (labels != 0), axis=-1)
    wrong = tf.math.count_nonzero((ones != 1) | (others != 0))
    labels = graph_checks.checked(
        labels, wrong == 0, _NOT_ONE_HOT, wrong, tf.shape(labels)[0]
    )
    return tf.argmax(labels, axis=-1, output_type=tf.int32)


def _in_range(labels, logits):
    """The labels, after an operation that fails unless logits have them."""
    num_classes = tf.shape(logits, labels.dtype)[-1]
    return graph_checks.checked(
        labels,
        tf.reduce_all((labels >= 0) & (labels < num_classes)),
        _OUT_OF_RANGE,
        tf.reduce_min(labels),
        tf.reduce_max(labels),
        num_classes,
    )

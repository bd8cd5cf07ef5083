"""Integer labels, sample weights and the cross-entropy on labels."""

import tensorflow as tf


def integer_labels(labels):
    """Converts labels to integers of shape `(batch,)`; None stays None.

    Raises:
        ValueError: unless they are integers `(batch,)` or `(batch, 1)`.
    """
    if labels is None:
        return None
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank == 2 and labels.shape[-1] == 1:
        labels = tf.squeeze(labels, axis=-1)
    if labels.shape.rank != 1 or not labels.dtype.is_integer:
        raise ValueError(
            "labels must be integers of shape (batch,) or (batch, 1). "
            f"Received: {labels.dtype.name} of shape {tuple(labels.shape)}"
        )
    if labels.dtype not in (tf.int32, tf.int64):
        labels = tf.cast(labels, tf.int32)
    return labels


def hard_loss(labels, logits):
    """Cross-entropy with integer labels: float32 `(batch,)`, in nats."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def accuracy(labels, logits):
    """1 where the top class is the label, else 0: float32 `(batch,)`."""
    top = tf.argmax(logits, axis=-1)
    return tf.cast(top == tf.cast(labels, top.dtype), tf.float32)


def example_weights(sample_weight, per_example):
    """Sample weights as float32 `(batch,)`; None gives ones.

    Args:
        sample_weight: tensor of `batch` elements, or None.
        per_example: float32 tensor `(batch,)`.
    """
    if sample_weight is None:
        return tf.ones_like(per_example)
    return tf.reshape(tf.cast(sample_weight, tf.float32), [-1])


def check_sample_weight(y, sample_weight):
    """Raises a ValueError for sample weights that Keras would drop."""
    if y is None and sample_weight is not None:
        raise ValueError(
            "sample_weight needs a y: labels, {'teacher_logits': ...}, or "
            "both (Keras drops the weights without). Received: y=None"
        )

"""Labels, loss on labels and metrics of softmax and of sigmoid predictions.

With softmax, the logits of an example are one choice among classes. With a
sigmoid, each logit is a yes or no of its own: a single one for two classes,
or one for each label that an example may have.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from kd_keras.distillation import labels as labels_lib
from kd_keras.utils import graph_checks


@dataclasses.dataclass(frozen=True)
class Activation:
    """The label conversion, loss and metrics for an activation of the logits.

    Attributes:
        name: str, `softmax` or `sigmoid`.
        least_logits: int, the smallest number of logits.
        convert_labels: function of a batch's labels -> labels for the
            functions below; None stays None.
        hard_loss: function of labels and logits -> float32 `(batch,)`, the
            cross-entropy in nats.
        accuracy: function of labels and logits -> float32 `(batch,)`, the
            share of an example's decisions that are right.
        agreement: function of two logits -> float32 `(batch,)`, the share
            of an example's decisions that are the same.
    """

    name: str
    least_logits: int
    convert_labels: Callable
    hard_loss: Callable
    accuracy: Callable
    agreement: Callable

    def check_count(self, num_logits):
        """Raises a ValueError if there are too few logits; None is any."""
        if num_logits is not None and num_logits < self.least_logits:
            raise ValueError(
                f"predictions of {self.name} need {self.least_logits} logits "
                "or more; a Distiller with soft_loss='binary_kl' takes one, "
                f"for two classes. Received: {num_logits}"
            )


def yes_or_no(labels):
    """Converts labels of sigmoids to float32 `(batch, num_labels)`.

    Args:
        labels: numbers from 0 to 1 or booleans, `(batch,)` or `(batch,
            num_labels)`; or None.

    Raises:
        ValueError: if they are of another type or shape.
    """
    if labels is None:
        return None
    labels = tf.convert_to_tensor(labels)
    is_number = (
        labels.dtype.is_integer
        or labels.dtype.is_floating
        or labels.dtype.is_bool
    )
    if not is_number or labels.shape.rank not in (1, 2):
        raise ValueError(
            "labels of sigmoid predictions must be 0 or 1, of shape (batch,) "
            "or (batch, num_labels). Received: "
            f"{labels.dtype.name} of shape {labels.shape}"
        )
    labels = tf.cast(labels, tf.float32)
    return labels if labels.shape.rank == 2 else labels[:, tf.newaxis]


def _same_top_class(logits, other_logits):
    # Not `==`, whose result has no shape where the batch's is unknown.
    same = tf.equal(tf.argmax(logits, -1), tf.argmax(other_logits, -1))
    return tf.cast(same, tf.float32)


def _sigmoid_hard_loss(labels, logits):
    losses = tf.nn.sigmoid_cross_entropy_with_logits(
        _checked(labels, logits), logits
    )
    return tf.reduce_sum(losses, axis=-1)


def _sigmoid_accuracy(labels, logits):
    return _share_of_same(_checked(labels, logits) > 0.5, logits > 0.0)


def _same_decisions(logits, other_logits):
    return _share_of_same(logits > 0.0, other_logits > 0.0)


def _share_of_same(decisions, others):
    same = tf.cast(tf.equal(decisions, others), tf.float32)
    return tf.reduce_mean(same, axis=-1)


def _checked(labels, logits):
    """The labels, after a check of their number and of their values."""
    if not labels.shape.is_compatible_with(logits.shape):
        raise ValueError(
            "labels of sigmoid predictions must be 0 or 1 for each of the "
            f"{logits.shape[-1]} logits. Received: labels of shape "
            f"{tuple(labels.shape)}"
        )
    wrong = tf.reduce_any((labels < 0.0) | (labels > 1.0))
    return graph_checks.checked(
        labels,
        ~wrong,
        NOT_YES_OR_NO,
        tf.reduce_min(labels),
        tf.reduce_max(labels),
    )


# The text of a check in the graph; the smallest and the largest label follow.
NOT_YES_OR_NO = "labels of sigmoid predictions must be from 0 to 1"

SOFTMAX = Activation(
    name="softmax",
    least_logits=2,
    convert_labels=labels_lib.integer_labels,
    hard_loss=labels_lib.hard_loss,
    accuracy=labels_lib.accuracy,
    agreement=_same_top_class,
)
SIGMOID = Activation(
    name="sigmoid",
    least_logits=1,
    convert_labels=yes_or_no,
    hard_loss=_sigmoid_hard_loss,
    accuracy=_sigmoid_accuracy,
    agreement=_same_decisions,
)
ACTIVATIONS = {"softmax": SOFTMAX, "sigmoid": SIGMOID}

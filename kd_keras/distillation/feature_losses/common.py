"""Parts that losses on features share."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from kd_keras.config import features

# Keeps the gradient finite where a norm or a variance is 0.
TINY = 1e-12


@dataclasses.dataclass(frozen=True)
class FeatureLoss:
    """A loss on features, with its reduction and state.

    Attributes:
        function: function of `teacher_features` and `student_features`, see
            `feature_losses`.
        compares_channels: bool, whether teacher and student need the same
            number of channels, so that the student's features are projected.
        reduce: function of a feature `(batch, height, width, channels)` ->
            `(batch, height, width)`, which is compared instead of the
            feature; None for features that are pooled.
        make_state: function of the shape of the teacher's features, without
            the batch, and the options -> Keras layer with the state of the
            loss. Its `update(teacher_features)` is called before the loss,
            in training only. Its `inputs()` are further arguments of the
            loss. None for a loss without state.
    """

    function: Callable
    compares_channels: bool = True
    reduce: Callable | None = None
    make_state: Callable | None = None


def default_options(loss):
    """The default options of a loss, from the configuration: a dict.

    Args:
        loss: str, its name.
    """
    options = features.FEATURE_LOSS_OPTIONS[loss]
    return {field.name: field.default for field in options}


def both(teacher_features, student_features):
    """The two features in float32; the teacher's are constant.

    Raises:
        ValueError: if the shapes differ.
    """
    teacher = tf.stop_gradient(tf.cast(teacher_features, tf.float32))
    student = tf.cast(student_features, tf.float32)
    if not teacher.shape.is_compatible_with(student.shape):
        raise ValueError(
            "teacher_features and student_features must have the same shape. "
            f"Received: teacher_features {tuple(teacher.shape)}, "
            f"student_features {tuple(student.shape)}"
        )
    return teacher, student


def example_means(values):
    """Means over all axes but the first: `(batch,)`."""
    return tf.reduce_mean(values, axis=tuple(range(1, len(values.shape))))


def flat(values):
    """The values as `(batch, n)`, each example one vector."""
    # Not -1, which an empty part of a batch leaves undefined.
    size = tf.reduce_prod(tf.shape(values)[1:])
    result = tf.reshape(values, [tf.shape(values)[0], size])
    return tf.ensure_shape(
        result, [values.shape[0], values.shape[1:].num_elements()]
    )


def normalized(values):
    """The values with the norm 1 over the last axis; 0 stays 0."""
    squares = tf.reduce_sum(tf.square(values), axis=-1, keepdims=True)
    return values * tf.math.rsqrt(tf.maximum(squares, TINY))

"""Checks of the logits that a teacher returns."""

import functools

import tensorflow as tf

from kd_keras.distillation import labels as labels_lib
from kd_keras.teachers import image_checks

_NOT_FINITE = "the teacher must return finite logits"
_PROBABILITIES = "the teacher must return logits, not probabilities"
# The text of an error, and the rest of it with the numbers of the Assert.
_EXPLANATIONS = (
    (_NOT_FINITE, "{} of {} values of a batch that are NaN or infinite"),
    (
        _PROBABILITIES,
        "rows that are >= 0 and sum to {} up to {}. Load it with "
        "load_teacher(path, outputs='probabilities') "
        "(--config.teacher.outputs=probabilities), or give the Distiller "
        "a function that returns the logarithm of its output",
    ),
    (image_checks.OUT_OF_RANGE, image_checks.RECEIVED),
    *labels_lib.EXPLANATIONS,
)


def check_classes(student_classes, teacher_classes):
    """Raises a ValueError if two numbers of classes differ; None is any."""
    if None not in (student_classes, teacher_classes) and (
        student_classes != teacher_classes
    ):
        raise ValueError(
            "student and teacher must have the same number of classes. "
            f"Received: student {student_classes}, teacher {teacher_classes}"
        )


def checked(teacher_logits):
    """The logits, after operations that fail unless they can be logits.

    Args:
        teacher_logits: float32 tensor `(batch, num_classes)`.
    """
    not_finite = tf.math.count_nonzero(~tf.math.is_finite(teacher_logits))
    sums = tf.reduce_sum(teacher_logits, axis=-1)
    like_probabilities = tf.reduce_all(
        (tf.abs(sums - 1.0) < 1e-3)
        & tf.reduce_all(teacher_logits >= 0.0, axis=-1)
    )
    checks = [
        tf.debugging.Assert(
            not_finite == 0, [_NOT_FINITE, not_finite, tf.size(teacher_logits)]
        ),
        tf.debugging.Assert(
            # A replica's part of a ragged batch may be empty.
            ~like_probabilities | (tf.size(sums) == 0),
            [_PROBABILITIES, tf.reduce_min(sums), tf.reduce_max(sums)],
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(teacher_logits)


class ExplainedChecks:
    """Mixin for `keras.Model`: failed checks raise ValueErrors.

    In `fit` and `evaluate`; a graph can only fail with TensorFlow's error.
    """

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            super().make_train_function(force)
            self.train_function = _explaining(self.train_function)
        return self.train_function

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = _explaining(self.test_function)
        return self.test_function


def _explaining(step_function):
    @functools.wraps(step_function)
    def step(iterator):
        try:
            return step_function(iterator)
        except tf.errors.InvalidArgumentError as error:
            explained = _explain(str(error))
            if explained is None:
                raise
            raise ValueError(explained) from None

    return step


def _explain(message):
    """The error for users after a failed check; None for other errors."""
    for text, received in _EXPLANATIONS:
        if text in message:
            # TensorFlow prints an Assert's data as [b'text'] [1] [2].
            values = message.split(text, 1)[1].split("[")[1:]
            numbers = [value.split("]")[0] for value in values]
            return f"{text}. Received: {received.format(*numbers)}"
    return None

"""Checks of a teacher and of the logits that it returns."""

import functools
import re

import keras
import tensorflow as tf

from kd_keras.distillation import labels as labels_lib
from kd_keras.teachers import functions, image_checks
from kd_keras.utils import keras_internals

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
    (functions.WRONG_BATCH, "{} logits for {} images"),
)
_SHAPED = "teacher_logits_of_student_classes"


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


def shaped(teacher_logits, student_logits):
    """The teacher's logits, with the shape `(batch, num_classes)`.

    Raises:
        ValueError: if they have another number of axes or of classes than
            the student's. Where it is not known yet, the step fails.
    """
    shape = teacher_logits.shape
    if shape.rank is None or shape[-1] is None:
        expected = (None, student_logits.shape[-1])
        return tf.ensure_shape(teacher_logits, expected, name=_SHAPED)
    check_classes(student_logits.shape[-1], shape[-1])
    return teacher_logits


def called(function, images):
    """Calls a teacher, and finds out which variables it reads.

    Returns:
        `(logits, reads)`; `reads` is a frozenset of the variables' `id`.
    """
    if not tf.executing_eagerly():
        graph = tf.compat.v1.get_default_graph()
        # Of several replicas, others may have read theirs.
        before = set(map(id, keras_internals.variables_read(graph)))
        logits = function(images)
        reads = keras_internals.variables_read(graph)
        reads = [x for x in reads if id(x) not in before]
    else:
        with tf.GradientTape() as tape:
            logits = function(images)
        reads = tape.watched_variables()
    return logits, frozenset(map(id, reads))


def check_apart(student, reads):
    """Raises a ValueError if training a student changes its teacher.

    Args:
        student: Keras model.
        reads: ids of the variables that the teacher reads; see `called`.
    """
    changed = list(student.trainable_weights)
    for layer in keras_internals.all_layers(student):
        # Moving averages change, too.
        if isinstance(layer, keras.layers.BatchNormalization):
            changed += layer.non_trainable_weights if layer.trainable else []
    shared = [weight.path for weight in changed if _parts(weight) & reads]
    if shared:
        raise ValueError(
            "the student must not train weights that its teacher has: give it "
            "a copy (keras.models.clone_model, then set_weights), or freeze "
            f"what they share (trainable = False). Received: {len(shared)} "
            f"such weights, the first {shared[0]}"
        )


def check_xla(function):
    """Raises a ValueError if a teacher cannot be compiled by XLA."""
    if getattr(function, "takes_arrays", False):
        raise ValueError(
            "a teacher that computes outside of TensorFlow needs "
            "compile(jit_compile=False). Received: jit_compile=True"
        )


def _parts(weight):
    """Ids of the TensorFlow variables of a weight, one for each replica."""
    variable = weight.value
    return {id(part) for part in getattr(variable, "values", [variable])}


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
    raised = re.search(
        rf"{functions.NoLogits.__name__}: (.*Received: .*)", message
    )
    if raised:
        # By a teacher that is called with arrays; a traceback follows.
        return raised[1]
    shapes = re.search(r"Shape of tensor \S+ (\[.*?\]) .* (\[.*?\])", message)
    if shapes and _SHAPED in message:
        return (
            "the teacher must return logits of the student's shape "
            f"{shapes[2]}. Received: {shapes[1]}"
        )
    return None

"""Checks of a teacher and of the logits that it returns."""

import functools
import re

import keras
import tensorflow as tf

from kd_keras.distillation import activations, settings
from kd_keras.distillation import labels as labels_lib
from kd_keras.models import activations as model_activations
from kd_keras.teachers import functions, image_checks
from kd_keras.utils import keras_internals

_NOT_FINITE = "the teacher must return finite logits"
_NOT_FINITE_FEATURES = "the teacher must return finite features"
_PROBABILITIES = "the teacher must return logits, not probabilities"
_OF_STUDENT = "the student must return logits, not probabilities"
_REMEDY = (
    "Load it with load_teacher(path, outputs='probabilities') "
    "(--config.teacher.outputs=probabilities), or give the Distiller a "
    "function that returns the logarithm of its output"
)
_SIGMOID_REMEDY = (
    "Load it with load_teacher(path, outputs='label_probabilities') and take "
    "soft_loss='binary_kl' (for two classes or several labels), or give the "
    "Distiller a function that returns log(p / (1 - p))"
)
# The text of an error, and the rest of it with the numbers of the Assert.
_EXPLANATIONS = (
    (_NOT_FINITE, "{} of {} values of a batch that are NaN or infinite"),
    (
        _NOT_FINITE_FEATURES,
        "{} of {} values of a batch that are NaN or infinite",
    ),
    (
        _PROBABILITIES,
        f"rows that are >= 0 and sum to {{}} up to {{}}. {_REMEDY}",
    ),
    (
        _OF_STUDENT,
        "rows that are >= 0 and sum to {} up to {}. Leave its last activation "
        "out, and apply it to predictions",
    ),
    (activations.NOT_YES_OR_NO, "labels from {} to {}"),
    (image_checks.OUT_OF_RANGE, image_checks.RECEIVED),
    *labels_lib.EXPLANATIONS,
    *settings.EXPLANATIONS,
    (functions.WRONG_BATCH, "{} logits for {} images"),
)
_NUMBER = re.compile(r"-?(?:\d[\d.]*(?:e[-+]?\d+)?|nan|inf)")
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
    checks = [
        _finite(teacher_logits, _NOT_FINITE),
        _no_probabilities(teacher_logits, _PROBABILITIES),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(teacher_logits)


def checked_features(features):
    """The teacher's features, after operations that fail if one is NaN.

    Args:
        features: tuple of float tensors `(batch, ...)`.
    """
    checks = [_finite(x, _NOT_FINITE_FEATURES) for x in features]
    with tf.control_dependencies([x for x in checks if x is not None]):
        return tuple(tf.identity(tf.stop_gradient(x)) for x in features)


def checked_student(logits):
    """The student's logits, after an operation that fails on softmax's."""
    with tf.control_dependencies([_no_probabilities(logits, _OF_STUDENT)]):
        return tf.identity(logits)


def check_known_outputs(teacher, activation):
    """Raises a ValueError if a teacher is known not to return such logits.

    Args:
        teacher: as `teachers.logits_function` takes it.
        activation: `Activation` that the logits are used for.
    """
    if isinstance(teacher, keras.Model):
        ending = model_activations.of_model(teacher)
        remedies = {"softmax": _REMEDY, "sigmoid": _SIGMOID_REMEDY}
        if ending in remedies:
            raise ValueError(
                f"{_PROBABILITIES}. Received: {teacher.name}, which ends in "
                f"{ending}. {remedies[ending]}"
            )
    known = getattr(teacher, "outputs_activation", None)
    if known not in (None, activation.name):
        raise ValueError(
            "soft_loss must be binary_kl for a teacher of sigmoid outputs, "
            "and another loss for one of softmax. Received: "
            f"{teacher.path}, of {known}, for a loss of {activation.name}"
        )


def _finite(values, text):
    """Operation that fails if a value is NaN or infinite."""
    not_finite = tf.math.count_nonzero(~tf.math.is_finite(values))
    return tf.debugging.Assert(
        not_finite == 0, [text, not_finite, tf.size(values)]
    )


def _no_probabilities(logits, text):
    """Operation that fails if all rows are >= 0 and sum to 1."""
    sums = tf.reduce_sum(logits, axis=-1)
    like_probabilities = tf.reduce_all(
        (tf.abs(sums - 1.0) < 1e-3) & tf.reduce_all(logits >= 0.0, axis=-1)
    )
    return tf.debugging.Assert(
        # A replica's part of a ragged batch may be empty.
        ~like_probabilities | (tf.size(sums) == 0) | (logits.shape[-1] == 1),
        [text, tf.reduce_min(sums), tf.reduce_max(sums)],
    )


def shaped(teacher_logits, student_logits):
    """The teacher's logits, with the shape `(batch, num_classes)`.

    Raises:
        ValueError: if they have another number of axes or of classes than
            the student's. Where it is not known yet, the step fails.
    """
    shape = teacher_logits.shape
    if shape.rank not in (None, 2):
        raise ValueError(
            "the teacher must return logits, (batch, num_classes). Received: "
            f"shape {shape}"
        )
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
            # TensorFlow prints an Assert's data as [text] [1] [2], and in
            # eager mode as b'text', 1 and 2 on lines of their own.
            numbers = _NUMBER.findall(message.split(text, 1)[1])
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

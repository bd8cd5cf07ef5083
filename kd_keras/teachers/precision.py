"""Teachers that compute in bfloat16."""

import contextlib

import tensorflow as tf

from kd_keras import config
from kd_keras.utils import processor, suggestions

# The pass of TensorFlow that turns matrix products and convolutions into
# bfloat16, and leaves softmax and the like in float32.
_PASS = "auto_mixed_precision_onednn_bfloat16"


def computing_in(precision, teacher, kind):
    """Makes a teacher compute in a precision.

    Only the network does. Everything around it, such as the student, a
    preprocessing and the logits, stays in float32.

    Args:
        precision: `float32` or `bfloat16`.
        teacher: `Teacher`.
        kind: `TeacherKind` of its model.

    Returns:
        `Teacher`.

    Raises:
        ValueError: if the teacher or this machine has no bfloat16.
    """
    suggestions.check_choice(
        precision, config.TEACHER_PRECISIONS, what="teacher.precision"
    )
    if precision == "float32":
        return teacher
    _check(teacher, kind)
    # A function that is not inlined is optimised by itself, with the options
    # that were set when it was called.
    function = tf.function(
        teacher.function,
        autograph=False,
        reduce_retracing=True,
        experimental_attributes={"_noinline": True},
    )

    def in_bfloat16(images):
        with _pass_on():
            return function(images)

    return teacher.replaced(function=in_bfloat16)


def is_available():
    """Whether teachers can compute in bfloat16 on this machine."""
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    return processor.has_bfloat16() and not has_gpu


def _check(teacher, kind):
    must = "teacher.precision=bfloat16 needs"
    if not kind.is_graph:
        raise ValueError(
            f"{must} a teacher of TensorFlow or Keras. Received: "
            f"{teacher.path}, which another runtime computes"
        )
    if tf.config.list_physical_devices("GPU"):
        raise ValueError(
            f"{must} a machine without a GPU: it is for processors. Received: "
            "a GPU; leave the field out"
        )
    if not processor.has_bfloat16():
        raise ValueError(
            f"{must} a processor with instructions for it (AMX or "
            "AVX512-BF16). Received: one without; leave the field out"
        )


@contextlib.contextmanager
def _pass_on():
    before = tf.config.optimizer.get_experimental_options().get(_PASS, False)
    tf.config.optimizer.set_experimental_options({_PASS: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_PASS: before})

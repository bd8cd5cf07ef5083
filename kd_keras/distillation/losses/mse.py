"""Logit matching by squared differences."""

import tensorflow as tf

from kd_keras.distillation.losses import common


def mse_loss(*, teacher_logits, student_logits, temperature=None):
    """Logit matching: the limit of `distillation_loss` as T grows.

    `sum_i (z_i - v_i)**2 / (2 N)` of the N logits of student and teacher,
    each shifted to the mean 0, which does not change their softmax.

    Args:
        teacher_logits: float tensor `(..., num_classes)`. Treated as
            constant.
        student_logits: float tensor, same shape.
        temperature: not used; here so that all losses are called alike.

    Returns:
        float32 tensor `(...,)`.

    Raises:
        ValueError: if the shapes differ.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), eq. 4
    """
    del temperature
    teacher = tf.stop_gradient(common.as_float32(teacher_logits))
    student = common.as_float32(student_logits)
    common.check_same_shape(teacher_logits=teacher, student_logits=student)
    return tf.math.reduce_variance(student - teacher, axis=-1) / 2.0

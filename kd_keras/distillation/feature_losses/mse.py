"""Squared differences of features, as FitNets' hints."""

import tensorflow as tf

from kd_keras.distillation.feature_losses import common

_DEFAULTS = common.default_options("mse")


def mse_loss(
    *,
    teacher_features,
    student_features,
    standardize=_DEFAULTS["standardize"],
):
    """The mean squared difference over all values of an example.

    Args:
        teacher_features: float tensor `(batch, ..., channels)`. Treated as
            constant.
        student_features: float tensor, same shape.
        standardize: bool; True gives the teacher's features mean 0 and
            standard deviation 1 over the channels first.

    Returns:
        float32 tensor `(batch,)`.

    Raises:
        ValueError: if the shapes differ.

    Reference:
        - [Romero et al., 2015](https://arxiv.org/abs/1412.6550), eq. 3
        - standardised features: [Miles et al., 2024](
          https://arxiv.org/abs/2403.06213)
    """
    teacher, student = common.both(teacher_features, student_features)
    if standardize:
        teacher -= tf.reduce_mean(teacher, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.square(teacher), axis=-1, keepdims=True)
        teacher *= tf.math.rsqrt(variance + common.TINY)
    return common.example_means(tf.square(student - teacher))

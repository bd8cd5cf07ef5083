"""Attention transfer: where in a map the activations lie."""

import tensorflow as tf

from kd_keras.distillation.feature_losses import common


def attention_map(feature):
    """The mean squared activation at each position, scaled to the norm 1.

    Args:
        feature: float tensor `(batch, height, width, channels)`.

    Returns:
        float32 tensor `(batch, height, width)`.
    """
    energy = tf.reduce_mean(tf.square(tf.cast(feature, tf.float32)), axis=-1)
    return tf.reshape(common.normalized(common.flat(energy)), tf.shape(energy))


def attention_loss(*, teacher_features, student_features):
    """The squared distance between two attention maps of the norm 1.

    Args:
        teacher_features: float tensor `(batch, height, width)`, maps as
            `attention_map` returns them. Treated as constant.
        student_features: float tensor, same shape. Maps that were resized
            are scaled again.

    Returns:
        float32 tensor `(batch,)`, from 0 to 2. The authors' code divides it
        by the number of positions.

    Raises:
        ValueError: if the shapes differ.

    Reference:
        - [Zagoruyko and Komodakis, 2017](https://arxiv.org/abs/1612.03928),
          eq. 2
    """
    teacher, student = (
        common.normalized(common.flat(maps))
        for maps in common.both(teacher_features, student_features)
    )
    return tf.reduce_sum(tf.square(student - teacher), axis=-1)

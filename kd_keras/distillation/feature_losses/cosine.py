"""Cosine distance of features."""

import tensorflow as tf

from kd_keras.distillation.feature_losses import common


def cosine_loss(*, teacher_features, student_features):
    """`1 - cos` of the angle between the features of teacher and student.

    The length of the features does not matter. Features with positions, such
    as maps, are compared at each position; the loss is the mean.

    Args:
        teacher_features: float tensor `(batch, ..., channels)`. Treated as
            constant.
        student_features: float tensor, same shape.

    Returns:
        float32 tensor `(batch,)`, from 0 to 2; 1 where one of them is 0.

    Raises:
        ValueError: if the shapes differ.

    Reference:
        - [Tian et al., 2022](https://arxiv.org/abs/2205.14141) compare
          normalised features by a distance that is a function of this one
    """
    teacher, student = common.both(teacher_features, student_features)
    cosines = tf.reduce_sum(
        common.normalized(teacher) * common.normalized(student), axis=-1
    )
    return common.example_means(1.0 - cosines)

"""Distillation losses: pure, per example, in log space and float32.

The caller reduces. Nothing here knows of models, batches or devices.
"""

import math

import tensorflow as tf


def soften(*, logits, temperature):
    """The softened predictions `softmax(logits / temperature)`.

    Args:
        logits: float tensor `(..., num_classes)`.
        temperature: float > 0; 1 leaves the predictions as they are, more
            makes them softer.

    Returns:
        float32 tensor `(..., num_classes)`, sums to 1 on the last axis.

    Raises:
        ValueError: if `temperature` is not positive and finite.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), eq. 1
    """
    return tf.nn.softmax(_scaled(logits, temperature))


def soft_cross_entropy(*, soft_targets, student_logits, temperature):
    """Cross-entropy of the softened student against soft targets.

    With soft targets `p`, student logits `z` and temperature `T` this is
    `-sum_i p_i log softmax(z / T)_i`, evaluated in log space, so that a
    confident and wrong student still receives a gradient. Not scaled by
    `T**2`: `distillation_loss` does that.

    Args:
        soft_targets: float tensor `(..., num_classes)`, sums to 1 on the
            last axis. Treated as constant.
        student_logits: float tensor, same shape.
        temperature: float > 0, the one `soft_targets` were made with.

    Returns:
        float32 tensor `(...,)`, in nats.

    Raises:
        ValueError: if the shapes differ or `temperature` is not positive
            and finite.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), eq. 1
    """
    soft_targets = tf.stop_gradient(_float32(soft_targets))
    log_q = tf.nn.log_softmax(_scaled(student_logits, temperature))
    _check_same_shape(soft_targets=soft_targets, student_logits=log_q)
    return -tf.reduce_sum(soft_targets * log_q, axis=-1)


def distillation_loss(*, teacher_logits, student_logits, temperature):
    """`T**2 KL(p || q)` of the softened teacher `p` and student `q`.

    The gradient of the softened terms shrinks as `1 / T**2`; the factor
    keeps its size, so that changing the temperature changes neither the
    learning rate nor the balance with a loss on labels. Its gradient in the
    student's logits is `T (q - p)`; none reaches the teacher.

    Args:
        teacher_logits: float tensor `(..., num_classes)`. Treated as
            constant.
        student_logits: float tensor, same shape.
        temperature: float > 0, applied to both.

    Returns:
        float32 tensor `(...,)`, in nats times `T**2`; 0 where the two agree.

    Raises:
        ValueError: if the shapes differ or `temperature` is not positive
            and finite.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 2
    """
    teacher = tf.stop_gradient(_scaled(teacher_logits, temperature))
    student = _scaled(student_logits, temperature)
    _check_same_shape(teacher_logits=teacher, student_logits=student)
    log_p = tf.nn.log_softmax(teacher)
    log_q = tf.nn.log_softmax(student)
    divergence = tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1)
    return temperature**2 * divergence


def check_temperature(temperature):
    """Raises a ValueError unless `temperature` is positive and finite."""
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(
            "temperature must be > 0 and finite. "
            f"Received: temperature={temperature}"
        )


def _scaled(logits, temperature):
    check_temperature(temperature)
    return _float32(logits) / temperature


def _float32(values):
    # Before anything else: softmax and KL in float16 lose the small
    # probabilities, which carry what the teacher knows.
    return tf.cast(values, tf.float32)


def _check_same_shape(**tensors):
    (name_a, a), (name_b, b) = tensors.items()
    if not a.shape.is_compatible_with(b.shape):
        raise ValueError(
            f"{name_a} and {name_b} must have the same shape. Received: "
            f"{name_a} {tuple(a.shape)}, {name_b} {tuple(b.shape)}"
        )

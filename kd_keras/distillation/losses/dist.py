"""DIST: correlations between predictions instead of their values."""

import functools

import tensorflow as tf

from kd_keras.distillation.losses import common, high_temperature

_DEFAULTS = common.default_options("dist")


def dist_loss(
    *,
    teacher_logits,
    student_logits,
    temperature,
    beta=_DEFAULTS["beta"],
    gamma=_DEFAULTS["gamma"],
    batch_sum=None,
):
    """Distillation from a stronger teacher: correlations, not values.

    `T**2 (beta (1 - r) + gamma (1 - s))`: r is the correlation of the
    example's two softened predictions over the classes; s is the correlation
    of a class's softened probabilities over the batch, averaged over classes.

    Args:
        teacher_logits: float tensor `(batch, num_classes)`. Treated as
            constant.
        student_logits: float tensor, same shape.
        temperature: float > 0, applied to both.
        beta: float >= 0.
        gamma: float >= 0.
        batch_sum: function that sums a tensor `(batch, ...)` over the whole
            batch, for logits that are a part of it; None if they are all.

    Returns:
        float32 tensor `(batch,)`; `s` is the same for all.

    Raises:
        ValueError: as `distillation_loss`.

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2205.10536), eq. 6 to 10;
          the factor `T**2` is in the authors' code
    """
    log_p, log_q = common.log_predictions(
        teacher_logits=teacher_logits,
        student_logits=student_logits,
        temperature=temperature,
    )
    # A factor changes no correlation; it keeps small variances above TINY.
    scale = high_temperature.excess(temperature)
    p, q = scale * tf.exp(log_p), scale * tf.exp(log_q)
    if batch_sum is None:
        batch_sum = functools.partial(tf.reduce_sum, axis=0)
    over_classes = _correlation(
        p, q, functools.partial(tf.reduce_sum, axis=-1, keepdims=True)
    )
    over_batch = _correlation(p, q, batch_sum)
    return temperature**2 * (
        beta * (1.0 - tf.squeeze(over_classes, axis=-1))
        + gamma * (1.0 - tf.reduce_mean(over_batch))
    )


def _correlation(a, b, total):
    """Pearson's correlation; 0 if one of the two is constant.

    Args:
        a, b: float32 tensors of the same shape.
        total: function that sums a tensor over the observations.
    """
    count = total(tf.ones_like(a))
    a = a - total(a) / count
    b = b - total(b) / count
    return total(a * b) * tf.math.rsqrt(
        total(tf.square(a)) * total(tf.square(b)) + common.TINY
    )

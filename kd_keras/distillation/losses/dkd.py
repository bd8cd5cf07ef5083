"""Decoupled knowledge distillation."""

import tensorflow as tf

from kd_keras.distillation.losses import common, high_temperature

_DEFAULTS = common.default_options("dkd")


def dkd_loss(
    *,
    teacher_logits,
    student_logits,
    temperature,
    labels=None,
    alpha=_DEFAULTS["alpha"],
    beta=_DEFAULTS["beta"],
):
    """Decoupled knowledge distillation: `T**2 (alpha TCKD + beta NCKD)`.

    TCKD compares the probabilities of the target class and of all others
    together; NCKD compares how the others share the rest. The KL loss is
    the case `alpha = 1` where `beta` is, for each example, the teacher's
    softened probability of the others. So it nearly ignores NCKD where the
    teacher is sure.

    Args:
        teacher_logits: float tensor `(batch, num_classes)`. Treated as
            constant.
        student_logits: float tensor, same shape.
        temperature: float > 0, applied to both.
        labels: int tensor `(batch,)`, the target classes; None for the
            teacher's top class.
        alpha: float >= 0.
        beta: float >= 0; the authors take 1 to 8, more where the teacher is
            surer.

    Returns:
        float32 tensor `(batch,)`, in nats times `T**2`.

    Raises:
        ValueError: as `distillation_loss`.

    Reference:
        - [Zhao et al., 2022](https://arxiv.org/abs/2203.08679), eq. 7
    """
    log_p, log_q = common.log_predictions(
        teacher_logits=teacher_logits,
        student_logits=student_logits,
        temperature=temperature,
    )
    if labels is None:
        labels = tf.argmax(teacher_logits, axis=-1)
    target = tf.one_hot(labels, log_p.shape[-1], on_value=True, off_value=False)
    binary_p, others_p = _decoupled(log_p, target)
    binary_q, others_q = _decoupled(log_q, target)

    def usual():
        tckd = common.kl_divergence(binary_p, binary_q)
        nckd = common.kl_divergence(others_p, others_q)
        return temperature**2 * (alpha * tckd + beta * nckd)

    def exact():
        delta = common.difference(teacher_logits, student_logits, temperature)
        nckd, mean = high_temperature.divergence(
            others_p, tf.where(target, 0.0, delta)
        )
        # Of the target, and of the others' logsumexp.
        of_target = tf.reduce_sum(tf.where(target, delta, 0.0), axis=-1)
        changes = tf.stack([of_target, nckd + mean], axis=-1)
        tckd, _ = high_temperature.divergence(binary_p, changes)
        return temperature**2 * (alpha * tckd + beta * nckd)

    return high_temperature.loss_value(usual, exact, temperature)


def _decoupled(log_prob, target):
    """Log-probabilities of (target, others), and of each among the others."""
    of_target = tf.reduce_sum(tf.where(target, log_prob, 0.0), axis=-1)
    of_others = tf.reduce_logsumexp(
        tf.where(target, log_prob.dtype.min, log_prob), axis=-1
    )
    among_others = log_prob - of_others[:, tf.newaxis]
    return (
        tf.stack([of_target, of_others], axis=-1),
        # The target has probability 0 here: `exp` of the smallest float is
        # 0, and the difference of two of them is 0.
        tf.where(target, log_prob.dtype.min, among_others),
    )

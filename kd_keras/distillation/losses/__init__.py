"""Distillation losses: pure, per example, in log space and float32.

The caller reduces. Nothing here knows of models or devices. A temperature is
a float, or a float32 scalar tensor where a schedule gives it.
"""

import functools
import math

import tensorflow as tf

# Keeps the gradient finite where a variance is 0.
_TINY = 1e-12


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


def distillation_loss(
    *, teacher_logits, student_logits, temperature, standardize=False
):
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
        standardize: bool; True gives each vector of logits the mean 0 and
            the standard deviation 1 first, so that the student need not
            have logits as large as the teacher's.

    Returns:
        float32 tensor `(...,)`, in nats times `T**2`; 0 where the two agree.

    Raises:
        ValueError: if the shapes differ or `temperature` is not positive
            and finite.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 2
        - logit standardisation: [Sun et al., 2024](
          https://arxiv.org/abs/2403.01427)
    """
    if standardize:
        teacher_logits = _standardized(teacher_logits)
        student_logits = _standardized(student_logits)
    log_p, log_q = _log_predictions(teacher_logits, student_logits, temperature)
    return temperature**2 * _kl(log_p, log_q)


def dkd_loss(
    *,
    teacher_logits,
    student_logits,
    temperature,
    labels=None,
    alpha=1.0,
    beta=8.0,
):
    """Decoupled knowledge distillation: `T**2 (alpha TCKD + beta NCKD)`.

    TCKD compares what teacher and student give to the target class and to
    all others together, NCKD how they divide the rest among the others. The
    KL loss is the one with `alpha = 1` and, for each example, `beta` the
    teacher's softened probability of the others: where the teacher is sure,
    the second says nearly nothing.

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
    log_p, log_q = _log_predictions(teacher_logits, student_logits, temperature)
    if labels is None:
        labels = tf.argmax(teacher_logits, axis=-1)
    target = tf.one_hot(labels, log_p.shape[-1], on_value=True, off_value=False)

    def split(log_prob):
        """Log-probabilities of target or not, and of the others if not."""
        of_target = tf.reduce_sum(tf.where(target, log_prob, 0.0), axis=-1)
        of_others = tf.reduce_logsumexp(
            tf.where(target, log_prob.dtype.min, log_prob), axis=-1
        )
        among_others = log_prob - of_others[:, tf.newaxis]
        return (
            tf.stack([of_target, of_others], axis=-1),
            # No probability: exp of it is 0, and the difference of two is 0.
            tf.where(target, log_prob.dtype.min, among_others),
        )

    (binary_p, others_p), (binary_q, others_q) = split(log_p), split(log_q)
    tckd, nckd = _kl(binary_p, binary_q), _kl(others_p, others_q)
    return temperature**2 * (alpha * tckd + beta * nckd)


def dist_loss(
    *,
    teacher_logits,
    student_logits,
    temperature,
    beta=1.0,
    gamma=1.0,
    batch_sum=None,
):
    """Distillation from a stronger teacher: correlations, not values.

    `T**2 (beta (1 - r) + gamma (1 - s))`: r is the correlation of the
    example's two softened predictions over the classes; s that of a class's
    softened probabilities over the batch, in the mean over classes.

    Args:
        teacher_logits: float tensor `(batch, num_classes)`. Treated as
            constant.
        student_logits: float tensor, same shape.
        temperature: float > 0, applied to both.
        beta: float >= 0.
        gamma: float >= 0.
        batch_sum: function that sums a tensor `(batch, ...)` over the whole
            batch, where this is a part of it; by default over what is given.

    Returns:
        float32 tensor `(batch,)`; `s` is the same for all.

    Raises:
        ValueError: as `distillation_loss`.

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2205.10536), eq. 6 to 10;
          the factor `T**2` is the authors' code's
    """
    log_p, log_q = _log_predictions(teacher_logits, student_logits, temperature)
    p, q = tf.exp(log_p), tf.exp(log_q)
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


def mse_loss(*, teacher_logits, student_logits, temperature=None):
    """Logit matching: what `distillation_loss` tends to as T grows.

    `sum_i (z_i - v_i)**2 / (2 N)` of the N logits of student and teacher,
    each with mean 0, which softmax does not see.

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
    teacher = tf.stop_gradient(_float32(teacher_logits))
    student = _float32(student_logits)
    _check_same_shape(teacher_logits=teacher, student_logits=student)
    return tf.math.reduce_variance(student - teacher, axis=-1) / 2.0


LOSSES = {
    "kl": distillation_loss,
    "dkd": dkd_loss,
    "dist": dist_loss,
    "mse": mse_loss,
}


def check_temperature(temperature):
    """Raises a ValueError unless `temperature` is positive and finite.

    A tensor is left unchecked.
    """
    if tf.is_tensor(temperature):
        return
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(
            "temperature must be > 0 and finite. "
            f"Received: temperature={temperature}"
        )


def _log_predictions(teacher_logits, student_logits, temperature):
    """Logarithms of both softened predictions; the teacher's is constant."""
    teacher = tf.stop_gradient(_scaled(teacher_logits, temperature))
    student = _scaled(student_logits, temperature)
    _check_same_shape(teacher_logits=teacher, student_logits=student)
    return tf.nn.log_softmax(teacher), tf.nn.log_softmax(student)


def _kl(log_p, log_q):
    return tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1)


def _correlation(a, b, total):
    """Pearson's, of what `total` sums over; 0 where one of them is constant."""
    count = total(tf.ones_like(a))
    a = a - total(a) / count
    b = b - total(b) / count
    return total(a * b) * tf.math.rsqrt(
        total(tf.square(a)) * total(tf.square(b)) + _TINY
    )


def _standardized(logits):
    logits = _float32(logits)
    logits -= tf.reduce_mean(logits, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(logits), axis=-1, keepdims=True)
    return logits * tf.math.rsqrt(variance + _TINY)


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

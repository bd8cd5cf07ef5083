"""The paper's loss: KL divergence of softened predictions."""

import tensorflow as tf

from kd_keras.distillation.losses import common, high_temperature


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
        ValueError: if the shapes differ or `temperature` is out of its
            range, 0.001 to 100,000.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 2
        - logit standardisation: [Sun et al., 2024](
          https://arxiv.org/abs/2403.01427)
    """
    if standardize:
        teacher_logits = _standardized(teacher_logits)
        student_logits = _standardized(student_logits)
    log_p, log_q = common.log_predictions(
        teacher_logits=teacher_logits,
        student_logits=student_logits,
        temperature=temperature,
    )

    def usual():
        return temperature**2 * common.kl_divergence(log_p, log_q)

    def exact():
        delta = common.difference(teacher_logits, student_logits, temperature)
        return temperature**2 * high_temperature.divergence(log_p, delta)[0]

    return high_temperature.loss_value(usual, exact, temperature)


def _standardized(logits):
    logits = common.as_float32(logits)
    logits -= tf.reduce_mean(logits, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(logits), axis=-1, keepdims=True)
    return logits * tf.math.rsqrt(variance + common.TINY)

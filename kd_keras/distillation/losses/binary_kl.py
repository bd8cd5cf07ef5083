"""KL divergence of sigmoid predictions: binary and multi-label models."""

import tensorflow as tf

from kd_keras.distillation.losses import common, high_temperature


def binary_kl_loss(*, teacher_logits, student_logits, temperature):
    """`T**2 sum_k KL` of the softened predictions of each label.

    Each logit is a yes or no of its own: with the teacher's logits `v`, the
    student's `z`, `p_k = sigmoid(v_k / T)` and `q_k = sigmoid(z_k / T)`,

        T**2 sum_k [p_k log(p_k / q_k)
                    + (1 - p_k) log((1 - p_k) / (1 - q_k))].

    Its gradient in the student's logits is `T (q_k - p_k)`; none reaches the
    teacher. As T grows it becomes `sum_k (z_k - v_k)**2 / 8`. For a single
    logit it equals `distillation_loss` of the two logits `(0, z)`.

    Args:
        teacher_logits: float tensor `(batch, num_labels)`; `(batch, 1)` for
            two classes, the logit of class 1. Treated as constant.
        student_logits: float tensor, same shape.
        temperature: float > 0, applied to both.

    Returns:
        float32 tensor `(batch,)`, in nats times `T**2`; 0 where the two
        agree, never negative.

    Raises:
        ValueError: as `distillation_loss`.

    Reference:
        - [Yang et al., 2023](https://arxiv.org/abs/2308.06453), which
          distils multi-label models as one binary problem for each label
    """
    teacher = tf.stop_gradient(common.scaled(teacher_logits, temperature))
    student = common.scaled(student_logits, temperature)
    common.check_same_shape(teacher_logits=teacher, student_logits=student)
    p, change = tf.sigmoid(teacher), student - teacher

    def by_label():
        loss = tf.nn.softplus(student) - tf.nn.softplus(teacher) - p * change
        # Rounding must make no loss negative; it has the gradient all the same.
        return loss + tf.stop_gradient(tf.nn.relu(-loss))

    def usual():
        return temperature**2 * tf.reduce_sum(by_label(), axis=-1)

    def exact():
        loss = tf.where(
            tf.abs(change) < high_temperature.LARGEST_CHANGE,
            high_temperature.binary_divergence(p, change),
            by_label(),
        )
        return temperature**2 * tf.reduce_sum(loss, axis=-1)

    return high_temperature.loss_value(usual, exact, temperature)


# Each logit is a prediction of its own; see `losses.activation_of`.
binary_kl_loss.activation = "sigmoid"

"""Parts that losses share: softening, log predictions, divergence, checks."""

import tensorflow as tf

from kd_keras.config import distill

# Keeps the gradient finite where a variance is 0.
TINY = 1e-12


def soften(*, logits, temperature, activation="softmax"):
    """The softened predictions `softmax(logits / temperature)`.

    Args:
        logits: float tensor `(..., num_classes)`.
        temperature: float, 0.001 to 100,000. 1 leaves the predictions as
            they are; larger temperatures make them softer.
        activation: `softmax`, or `sigmoid` for logits that are a yes or no
            each.

    Returns:
        float32 tensor `(..., num_classes)`; with softmax, it sums to 1 on the
        last axis.

    Raises:
        ValueError: if `temperature` is out of its range.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), eq. 1
    """
    functions = {"softmax": tf.nn.softmax, "sigmoid": tf.sigmoid}
    return functions[activation](scaled(logits, temperature))


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
        ValueError: if the shapes differ or `temperature` is out of its
            range, 0.001 to 100,000.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), eq. 1
    """
    soft_targets = tf.stop_gradient(as_float32(soft_targets))
    log_q = tf.nn.log_softmax(scaled(student_logits, temperature))
    check_same_shape(soft_targets=soft_targets, student_logits=log_q)
    return -tf.reduce_sum(soft_targets * log_q, axis=-1)


def default_options(loss):
    """The default options of a loss, from the configuration: a dict.

    Args:
        loss: str, its name.
    """
    return {field.name: field.default for field in distill.LOSS_OPTIONS[loss]}


def log_predictions(*, teacher_logits, student_logits, temperature):
    """Logarithms of both softened predictions; the teacher's is constant.

    Returns:
        Two float32 tensors of the logits' shape.

    Raises:
        ValueError: if the shapes differ or `temperature` is out of its
            range, 0.001 to 100,000.
    """
    teacher = tf.stop_gradient(scaled(teacher_logits, temperature))
    student = scaled(student_logits, temperature)
    check_same_shape(teacher_logits=teacher, student_logits=student)
    return tf.nn.log_softmax(teacher), tf.nn.log_softmax(student)


def difference(teacher_logits, student_logits, temperature):
    """The student's scaled logits minus the teacher's, in float32."""
    teacher, student = as_float32(teacher_logits), as_float32(student_logits)
    return (student - teacher) / temperature


def kl_divergence(log_p, log_q):
    """`KL(p || q)` over the last axis, in nats."""
    return tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1)


def check_temperature(temperature):
    """Raises a ValueError unless `temperature` is in a range that works.

    A tensor, as a schedule returns it, is not checked.
    """
    if tf.is_tensor(temperature):
        return
    if not distill.TEMPERATURE.holds(temperature):
        raise ValueError(
            f"temperature must be {distill.TEMPERATURE.text}. "
            f"Received: temperature={temperature}"
        )


def check_same_shape(**tensors):
    """Raises a ValueError unless two named tensors have the same shape."""
    (name_a, a), (name_b, b) = tensors.items()
    if not a.shape.is_compatible_with(b.shape):
        raise ValueError(
            f"{name_a} and {name_b} must have the same shape. Received: "
            f"{name_a} {tuple(a.shape)}, {name_b} {tuple(b.shape)}"
        )


def as_float32(values):
    """The values as float32.

    Losses convert first: softmax and KL in float16 lose the small
    probabilities, from which the student learns which classes are similar.
    """
    return tf.cast(values, tf.float32)


def scaled(logits, temperature):
    """`logits / temperature` in float32."""
    check_temperature(temperature)
    return as_float32(logits) / temperature

"""Logit matching by hand, and as a limit of the KL loss."""

import by_hand
import numpy as np
import tensorflow as tf

from kd_keras.distillation import losses


def test_mse_by_hand():
    # Without their means: student (1, 0, -1), teacher (0, 0, 0): 2 / (2 * 3).
    loss = losses.mse_loss(
        teacher_logits=[[7.0, 7.0, 7.0]], student_logits=[[3.0, 2.0, 1.0]]
    )
    np.testing.assert_allclose(loss, [1 / 3], atol=1e-6)


def test_mse_is_the_limit_of_the_kl_loss_at_high_temperature():
    """In value and in gradient, (z - v) / N (the paper's eq. 4)."""
    teacher, student = by_hand.random_logits(0), by_hand.random_logits(1)
    exact = losses.mse_loss(teacher_logits=teacher, student_logits=student)
    near = by_hand.kl_loss(teacher, student, 1e4)
    np.testing.assert_allclose(exact, near, rtol=1e-2)
    variable = tf.constant(student, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        loss = losses.mse_loss(teacher_logits=teacher, student_logits=variable)
    difference = student - teacher
    difference -= difference.mean(-1, keepdims=True)
    np.testing.assert_allclose(
        tape.gradient(loss, variable), difference / 10, atol=1e-5
    )

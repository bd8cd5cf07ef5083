"""Losses at high temperatures, where the usual form is lost in rounding."""

import functools

import by_hand
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.distillation import losses
from kd_keras.distillation.losses import common, high_temperature


def dkd(teacher, student, temperature):
    rows = zip(teacher, student, teacher.argmax(-1))
    return [by_hand.dkd_loss(*row, temperature, 1.0, 8.0) for row in rows]


EXACT = {
    "kl": by_hand.kl_loss,
    "dkd": dkd,
    "binary_kl": by_hand.binary_kl_loss,
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(
    ("temperature", "distance"),
    # Nearer and hotter, float64 itself loses the formula's digits.
    [(100.0, 3.0), (100.0, 0.01), (1e3, 0.01), (1e4, 3.0), (1e5, 3.0)],
)
def test_losses_are_exact_at_high_temperatures(name, temperature, distance):
    """Far from the teacher, and near it: where the usual form is negative."""
    # Whole multiples of 2^-10, which float32 holds.
    teacher = np.round(by_hand.random_logits(0) * 1024) / 1024
    change = np.round(by_hand.random_logits(1) * distance * 1024) / 1024
    for given in (temperature, tf.constant(temperature)):
        loss = losses.LOSSES[name](
            teacher_logits=teacher,
            student_logits=teacher + change,
            temperature=given,
        )
        np.testing.assert_allclose(
            loss, EXACT[name](teacher, teacher + change, temperature), rtol=1e-3
        )


@pytest.mark.parametrize("name", ["kl", "binary_kl"])
def test_gradients_at_a_high_temperature_are_the_differences(name):
    teacher, student = by_hand.random_logits(0), by_hand.random_logits(1)
    expected = (student - teacher) / 4  # of sigmoids
    if name == "kl":
        expected = (student - teacher) / 10
        expected -= expected.mean(-1, keepdims=True)
    student = tf.constant(student, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(student)
        loss = losses.LOSSES[name](
            teacher_logits=teacher, student_logits=student, temperature=1e4
        )
    np.testing.assert_allclose(
        tape.gradient(loss, student), expected, atol=2e-3
    )


def test_dist_at_a_high_temperature_is_the_correlation_of_logits():
    teacher, student = (by_hand.random_logits(i, (64, 10)) for i in (0, 1))
    loss = losses.dist_loss(
        teacher_logits=teacher, student_logits=student, temperature=1e4, gamma=0
    )
    expected = [
        1e8 * (1 - np.corrcoef(v, z)[0, 1]) for v, z in zip(teacher, student)
    ]
    np.testing.assert_allclose(loss, expected, rtol=1e-2)


@pytest.mark.parametrize("given", [float, tf.constant])
def test_usual_temperatures_keep_their_bits(given):
    teacher, student = (by_hand.random_logits(i, (64, 10)) for i in (0, 1))
    for temperature in (1.0, 4.0, 20.0):
        log_p, log_q = common.log_predictions(
            teacher_logits=teacher,
            student_logits=student,
            temperature=temperature,
        )
        loss = losses.distillation_loss(
            teacher_logits=teacher,
            student_logits=student,
            temperature=given(temperature),
        )
        usual = temperature**2 * common.kl_divergence(log_p, log_q)
        np.testing.assert_array_equal(loss, usual)


@pytest.mark.parametrize("size", [1e-6, 1e-2, 0.29, 0.31, 5.0, 79.0, 81.0, 1e4])
def test_the_divergence_of_any_change_is_exact(size):
    p = np.array([0.5, 0.25, 0.125, 0.125])
    delta = size * np.array([1.0, 0.0, -0.5, 0.25])
    log_q = np.log(p) + delta
    log_q -= functools.reduce(np.logaddexp, log_q)
    expected = np.sum(p * (np.log(p) - log_q))
    found, mean = high_temperature.divergence(
        tf.constant(np.log(p), tf.float32), tf.constant(delta, tf.float32)
    )
    # The formula itself cancels at 1e-6: the first term of its series.
    if size == 1e-6:
        expected = np.sum(p * (delta - p @ delta) ** 2) / 2
    np.testing.assert_allclose(found, expected, rtol=3e-6)
    np.testing.assert_allclose(mean, p @ delta, rtol=1e-6)

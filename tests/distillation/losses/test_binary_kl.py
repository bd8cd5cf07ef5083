"""The sigmoid KL of binary and multi-label models."""

import by_hand
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from kd_keras.distillation import losses


def loss_and_gradient(teacher, student, temperature):
    student = tf.constant(student, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(student)
        loss = losses.binary_kl_loss(
            teacher_logits=teacher,
            student_logits=student,
            temperature=temperature,
        )
    return loss.numpy(), tape.gradient(loss, student).numpy()


def test_binary_kl_by_hand():
    # p = 2/3, q = 1/2 at T = 2: 4 (2/3 ln(4/3) + 1/3 ln(2/3)) = 0.226532,
    # and twice that for two labels.
    for num_labels in (1, 2):
        loss, _ = loss_and_gradient(
            np.full((1, num_labels), 2 * np.log(2.0)),
            np.zeros((1, num_labels)),
            2.0,
        )
        np.testing.assert_allclose(loss, [num_labels * 0.226532], atol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("num_labels", [1, 10])
def test_binary_kl_equals_the_formula(temperature, num_labels):
    teacher, student = (
        by_hand.random_logits(seed, (64, num_labels)) for seed in (0, 1)
    )
    loss, gradient = loss_and_gradient(teacher, student, temperature)
    np.testing.assert_allclose(
        loss,
        by_hand.binary_kl_loss(teacher, student, temperature),
        rtol=1e-4,
        atol=3e-7 * temperature**2,
    )
    p, q = (scipy.special.expit(x / temperature) for x in (teacher, student))
    np.testing.assert_allclose(gradient, temperature * (q - p), atol=1e-5)


def test_one_logit_is_the_kl_loss_of_two_classes():
    teacher, student = (by_hand.random_logits(i, (64, 1)) for i in (0, 1))
    of_two = losses.distillation_loss(
        teacher_logits=np.pad(teacher, ((0, 0), (1, 0))),
        student_logits=np.pad(student, ((0, 0), (1, 0))),
        temperature=3.0,
    )
    np.testing.assert_allclose(
        loss_and_gradient(teacher, student, 3.0)[0],
        of_two,
        rtol=1e-4,
        atol=1e-5,
    )


def test_one_hot_teachers_give_binary_cross_entropy():
    student, labels = by_hand.random_logits(0), np.eye(5, 10)
    loss, _ = loss_and_gradient(100.0 * (2 * labels - 1), student, 1.0)
    cross_entropy = np.logaddexp(0, student) - labels * student
    np.testing.assert_allclose(loss, cross_entropy.sum(-1), rtol=1e-5)


def test_extreme_logits_keep_value_and_gradient():
    # log((1 - p) / (1 - q)) of p = 0 and q = 1 - exp(-1e4) is 1e4.
    loss, gradient = loss_and_gradient(
        [[-1e4, 1e4, 1e4, 0.0]], [[1e4, -1e4, 1e4, 1e4]], 1.0
    )
    np.testing.assert_allclose(loss, [1e4 + 1e4 + 5e3 - np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(gradient, [[1, -1, 0, 0.5]], atol=1e-6)


def test_a_student_near_its_teacher_never_has_a_negative_loss():
    teacher = by_hand.random_logits(0, (500, 10))
    for temperature in (1.0, 20.0, 1e3):
        for step in (0.0, 1e-6, 1e-4, 1e-2):
            loss, gradient = loss_and_gradient(
                teacher, teacher + step, temperature
            )
            assert loss.min() >= 0
            # Rounding to 0 must not stop the learning.
            assert (gradient.max() > 0) == (step > 0)

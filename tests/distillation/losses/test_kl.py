"""The KL loss: values by hand, gradients, limits and extremes."""

import by_hand
import nets
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.distillation import losses


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_distillation_loss_equals_the_formula(temperature):
    teacher, student = by_hand.random_logits(0), by_hand.random_logits(1)
    loss = losses.distillation_loss(
        teacher_logits=teacher, student_logits=student, temperature=temperature
    )
    np.testing.assert_allclose(
        loss, by_hand.kl_loss(teacher, student, temperature), rtol=1e-4
    )


def test_distillation_loss_by_hand():
    # p = (2/3, 1/3), q = (1/2, 1/2) at T = 2:
    # 4 (2/3 ln(4/3) + 1/3 ln(2/3)) = 0.226532
    loss = losses.distillation_loss(
        teacher_logits=[[2 * np.log(2.0), 0.0]],
        student_logits=[[0.0, 0.0]],
        temperature=2.0,
    )
    np.testing.assert_allclose(loss, [0.226532], atol=1e-6)


def test_teacher_and_student_are_not_interchanged():
    # KL(p || q) is not KL(q || p), and the teacher's side has no gradient.
    a, b = [[2.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]
    forward, _ = nets.loss_and_gradient(a, b, 1.0)
    backward, _ = nets.loss_and_gradient(b, a, 1.0)
    p = np.exp(2) / (np.exp(2) + 2), 1 / (np.exp(2) + 2)
    by_hand = p[0] * np.log(3 * p[0]) + 2 * p[1] * np.log(3 * p[1])
    np.testing.assert_allclose(forward, by_hand, rtol=1e-5)
    assert abs(forward - backward) > 0.04


def test_the_divergence_is_summed_over_classes():
    # ln 2 between (1/2, 1/2, 0...) and (1/4, 1/4, 1/4, 1/4, 0...).
    teacher = np.full((1, 10), -1e4)
    student = np.full((1, 10), -1e4)
    teacher[0, :2] = 0
    student[0, :4] = 0
    loss, _ = nets.loss_and_gradient(teacher, student, 1.0)
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_gradient_is_temperature_times_difference_of_predictions(temperature):
    teacher, student = by_hand.random_logits(0), by_hand.random_logits(1)
    difference = by_hand.softened(student, temperature) - by_hand.softened(
        teacher, temperature
    )
    np.testing.assert_allclose(
        nets.loss_and_gradient(teacher, student, temperature)[1],
        temperature * difference,
        atol=1e-5,
    )


def test_high_temperature_limit_is_logit_matching():
    teacher, student = by_hand.random_logits(0), by_hand.random_logits(1)
    teacher -= teacher.mean(-1, keepdims=True)
    student -= student.mean(-1, keepdims=True)
    # Hinton et al. (2015), eq. 4, times T**2; the error is O(1 / T).
    np.testing.assert_allclose(
        nets.loss_and_gradient(teacher, student, 1000.0)[1],
        (student - teacher) / 10,
        atol=5e-3,
    )


def test_a_shift_of_all_logits_changes_nothing():
    teacher, student = by_hand.random_logits(0), by_hand.random_logits(1)

    def loss(shift):
        return losses.distillation_loss(
            teacher_logits=teacher + shift,
            student_logits=student - shift,
            temperature=4.0,
        )

    np.testing.assert_allclose(loss(0.0), loss(50.0), rtol=1e-3, atol=1e-4)


def test_a_shifted_student_has_no_loss():
    teacher = np.array([[1.0, 2.0, 3.0]])
    loss, gradient = nets.loss_and_gradient(teacher, teacher + 5, 4.0)
    np.testing.assert_allclose(loss, 0, atol=1e-5)
    np.testing.assert_allclose(gradient, 0, atol=1e-5)


def test_a_confident_error_has_its_whole_gradient():
    loss, gradient = nets.loss_and_gradient(
        [[20.0, 0.0, 0.0]], [[0.0, 20.0, 0.0]], 1.0
    )
    np.testing.assert_allclose(loss, 20, atol=1e-4)
    np.testing.assert_allclose(gradient, [[-1, 1, 0]], atol=1e-4)


def test_no_gradient_reaches_the_teacher():
    teacher = tf.constant(by_hand.random_logits(0), tf.float32)
    student = tf.constant(by_hand.random_logits(1), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(teacher)
        loss = losses.distillation_loss(
            teacher_logits=teacher, student_logits=student, temperature=4.0
        ) + losses.soft_cross_entropy(
            soft_targets=tf.nn.softmax(teacher),
            student_logits=student,
            temperature=4.0,
        )
    assert tape.gradient(loss, teacher) is None


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_any_float_type_gives_the_float32_result(dtype):
    # Small whole numbers, which every type holds exactly.
    teacher = np.array([[9.0, -9.0, 1.0], [0.0, 2.0, -3.0]])
    student = np.array([[-8.0, 7.0, 0.0], [1.0, 1.0, 4.0]])
    loss = losses.distillation_loss(
        teacher_logits=tf.cast(teacher, dtype),
        student_logits=tf.cast(student, dtype),
        temperature=1.0,
    )
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(
        loss, by_hand.kl_loss(teacher, student, 1.0), rtol=1e-5
    )


def test_the_loss_of_float16_logits_is_float32():
    teacher = np.array([[12.0, 0.0, -12.0]])
    student = np.array([[-12.0, 0.0, 12.0]])
    exact, _ = nets.loss_and_gradient(teacher, student, 1.0)
    half = losses.distillation_loss(
        teacher_logits=teacher.astype("float16"),
        student_logits=student.astype("float16"),
        temperature=1.0,
    )
    assert half.dtype == tf.float32
    np.testing.assert_allclose(half, exact, rtol=1e-6)


def test_standardized_logits_by_hand():
    # (2, 0) and (0, 5) become (1, -1) and (-1, 1), whatever their size.
    loss = losses.distillation_loss(
        teacher_logits=[[2.0, 0.0]],
        student_logits=[[0.0, 5.0]],
        temperature=1.0,
        standardize=True,
    )
    np.testing.assert_allclose(
        loss, [by_hand.kl_loss([1.0, -1.0], [-1.0, 1.0], 1.0)], rtol=1e-4
    )


def test_the_size_of_standardized_logits_has_no_effect():
    teacher = by_hand.random_logits(0)
    options = {"teacher_logits": teacher, "student_logits": 0.1 * teacher + 3}
    loss = losses.distillation_loss(
        **options, temperature=2.0, standardize=True
    )
    np.testing.assert_allclose(loss, np.zeros(5), atol=1e-5)
    plain = losses.distillation_loss(**options, temperature=2.0)
    assert np.all(plain > 0.1)

"""Values by hand, gradients, limits, extremes and refusals."""

import nets
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import losses


def hand_softened(logits, temperature):
    exponentials = np.exp(np.asarray(logits, "float64") / temperature)
    return exponentials / exponentials.sum(-1, keepdims=True)


def hand_loss(teacher, student, temperature):
    p = hand_softened(teacher, temperature)
    q = hand_softened(student, temperature)
    return temperature**2 * np.sum(p * (np.log(p) - np.log(q)), -1)


def random_logits(seed, shape=(5, 10)):
    return np.random.default_rng(seed).normal(size=shape) * 3


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_distillation_loss_equals_the_formula(temperature):
    teacher, student = random_logits(0), random_logits(1)
    loss = losses.distillation_loss(
        teacher_logits=teacher, student_logits=student, temperature=temperature
    )
    np.testing.assert_allclose(
        loss, hand_loss(teacher, student, temperature), rtol=1e-4
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


def test_soften_by_hand():
    softened = losses.soften(logits=[[np.log(16.0), 0.0]], temperature=2.0)
    np.testing.assert_allclose(softened, [[0.8, 0.2]], atol=1e-6)


def test_soft_cross_entropy_is_divergence_plus_entropy():
    teacher, student = random_logits(0), random_logits(1)
    p = hand_softened(teacher, 3.0)
    cross_entropy = losses.soft_cross_entropy(
        soft_targets=p, student_logits=student, temperature=3.0
    )
    entropy = -np.sum(p * np.log(p), -1)
    divergence = hand_loss(teacher, student, 3.0) / 9
    np.testing.assert_allclose(cross_entropy, divergence + entropy, rtol=1e-5)


def test_one_hot_targets_at_temperature_one_give_cross_entropy():
    student, labels = random_logits(0), [3, 1, 4, 1, 5]
    np.testing.assert_allclose(
        losses.soft_cross_entropy(
            soft_targets=tf.one_hot(labels, 10),
            student_logits=student,
            temperature=1.0,
        ),
        tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels, tf.constant(student, tf.float32)
        ),
        rtol=1e-6,
    )


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_gradient_is_temperature_times_difference_of_predictions(temperature):
    teacher, student = random_logits(0), random_logits(1)
    difference = hand_softened(student, temperature) - hand_softened(
        teacher, temperature
    )
    np.testing.assert_allclose(
        nets.loss_and_gradient(teacher, student, temperature)[1],
        temperature * difference,
        atol=1e-5,
    )


def test_high_temperature_limit_is_logit_matching():
    teacher, student = random_logits(0), random_logits(1)
    teacher -= teacher.mean(-1, keepdims=True)
    student -= student.mean(-1, keepdims=True)
    # Hinton et al. (2015), eq. 4, times T**2; the error is O(1 / T).
    np.testing.assert_allclose(
        nets.loss_and_gradient(teacher, student, 1000.0)[1],
        (student - teacher) / 10,
        atol=5e-3,
    )


def test_a_shift_of_all_logits_changes_nothing():
    teacher, student = random_logits(0), random_logits(1)

    def loss(shift):
        return losses.distillation_loss(
            teacher_logits=teacher + shift,
            student_logits=student - shift,
            temperature=4.0,
        )

    np.testing.assert_allclose(loss(0.0), loss(50.0), rtol=1e-3, atol=1e-4)


def test_no_gradient_reaches_the_teacher():
    teacher = tf.constant(random_logits(0), tf.float32)
    student = tf.constant(random_logits(1), tf.float32)
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
        loss, hand_loss(teacher, student, 1.0), rtol=1e-5
    )


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf")])
def test_an_impossible_temperature_is_refused(temperature):
    with pytest.raises(
        ValueError, match=f"Received: temperature={temperature}"
    ):
        losses.soften(logits=[[1.0, 2.0]], temperature=temperature)


def test_different_shapes_are_refused_with_both():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        losses.distillation_loss(
            teacher_logits=np.zeros((2, 3)),
            student_logits=np.zeros((2, 4)),
            temperature=1.0,
        )

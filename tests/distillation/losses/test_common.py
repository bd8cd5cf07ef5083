"""Softening, soft targets and refusals."""

import by_hand
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.distillation import losses


def test_soften_by_hand():
    softened = losses.soften(logits=[[np.log(16.0), 0.0]], temperature=2.0)
    np.testing.assert_allclose(softened, [[0.8, 0.2]], atol=1e-6)


def test_soft_cross_entropy_is_divergence_plus_entropy():
    teacher, student = by_hand.random_logits(0), by_hand.random_logits(1)
    p = by_hand.softened(teacher, 3.0)
    cross_entropy = losses.soft_cross_entropy(
        soft_targets=p, student_logits=student, temperature=3.0
    )
    entropy = -np.sum(p * np.log(p), -1)
    divergence = by_hand.kl_loss(teacher, student, 3.0) / 9
    np.testing.assert_allclose(cross_entropy, divergence + entropy, rtol=1e-5)


def test_one_hot_targets_at_temperature_one_give_cross_entropy():
    student, labels = by_hand.random_logits(0), [3, 1, 4, 1, 5]
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


@pytest.mark.parametrize("temperature", [0, -1.0, 9e-4, 2e5, np.nan, np.inf])
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

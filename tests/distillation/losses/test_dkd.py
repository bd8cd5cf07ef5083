"""Decoupled knowledge distillation by the paper's formulas."""

import by_hand
import numpy as np
import pytest

from kd_keras.distillation import losses


@pytest.mark.parametrize("labels", [None, [3, 0, 1, 2, 9]])
def test_dkd_equals_the_formula(labels):
    teacher, student = by_hand.random_logits(0), by_hand.random_logits(1)
    loss = losses.dkd_loss(
        teacher_logits=teacher,
        student_logits=student,
        temperature=4.0,
        labels=labels,
        alpha=0.5,
        beta=3.0,
    )
    targets = labels or teacher.argmax(-1)
    expected = [
        by_hand.dkd_loss(t, s, target, 4.0, 0.5, 3.0)
        for t, s, target in zip(teacher, student, targets)
    ]
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_dkd_by_hand():
    # p = (1/2, 1/4, 1/4), q = (1/3, 1/3, 1/3), target 0:
    # TCKD = 1/2 ln(3/2) + 1/2 ln(3/4) = 0.058892, NCKD = 0.
    # p = (1/2, 3/8, 1/8): NCKD = 3/4 ln(3/2) + 1/4 ln(1/2) = 0.130812
    for probabilities, expected in (
        ([1 / 2, 1 / 4, 1 / 4], 0.058892),
        ([1 / 2, 3 / 8, 1 / 8], 0.058892 + 8 * 0.130812),
    ):
        loss = losses.dkd_loss(
            teacher_logits=np.log([probabilities]),
            student_logits=np.zeros((1, 3)),
            temperature=1.0,
        )
        np.testing.assert_allclose(loss, [expected], atol=1e-5)


def test_dkd_with_the_teacher_s_own_weights_is_the_kl_loss():
    """KL = TCKD + (1 - p_target) NCKD (the paper's eq. 6)."""
    teacher, student = by_hand.random_logits(0), by_hand.random_logits(1)
    sure = by_hand.softened(teacher, 2.0).max(-1)
    decoupled = losses.dkd_loss(
        teacher_logits=teacher,
        student_logits=student,
        temperature=2.0,
        beta=1.0 - sure,
    )
    np.testing.assert_allclose(
        decoupled, by_hand.kl_loss(teacher, student, 2.0), rtol=1e-4
    )

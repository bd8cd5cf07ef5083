"""DIST against numpy's correlations."""

import by_hand
import numpy as np

from kd_keras.distillation import losses


def dist_by_numpy(teacher, student, temperature, beta, gamma):
    p, q = (by_hand.softened(x, temperature) for x in (teacher, student))
    rows = [1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p, q)]
    columns = [1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p.T, q.T)]
    return temperature**2 * (beta * np.array(rows) + gamma * np.mean(columns))


def test_dist_equals_numpy_s_correlations():
    teacher, student = (
        by_hand.random_logits(0, (8, 10)),
        by_hand.random_logits(1, (8, 10)),
    )
    loss = losses.dist_loss(
        teacher_logits=teacher,
        student_logits=student,
        temperature=3.0,
        beta=2.0,
        gamma=0.5,
    )
    np.testing.assert_allclose(
        loss, dist_by_numpy(teacher, student, 3.0, 2.0, 0.5), rtol=1e-4
    )


def test_dist_by_hand():
    # Softened rows (1/4, 3/4) and (3/4, 1/4), the student's turned around:
    # every correlation is -1, so the loss is (1 + 1) + (1 + 1).
    rows = np.log([[0.25, 0.75], [0.75, 0.25]])
    loss = losses.dist_loss(
        teacher_logits=rows, student_logits=rows[::-1], temperature=1.0
    )
    np.testing.assert_allclose(loss, [4.0, 4.0], atol=1e-4)


def test_a_linear_function_of_the_teacher_s_probabilities_has_no_loss():
    """A student whose probabilities are a p + b has nothing to learn."""
    p = by_hand.softened(by_hand.random_logits(0, (6, 5)), 1.0)
    student = np.log(0.5 * p + 0.1)
    loss = losses.dist_loss(
        teacher_logits=np.log(p), student_logits=student, temperature=1.0
    )
    np.testing.assert_allclose(loss, np.zeros(6), atol=1e-4)
    assert np.all(by_hand.kl_loss(np.log(p), student, 1.0) > 0.01)

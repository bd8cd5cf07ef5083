"""Values by hand, gradients, limits, extremes and refusals."""

import nets
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.distillation import losses


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


def hand_dkd(teacher, student, target, temperature, alpha, beta):
    """By the paper's equations 3 to 7, one example, in float64."""
    p, q = (hand_softened(x, temperature) for x in (teacher, student))
    others = [i for i in range(len(p)) if i != target]
    p_rest, q_rest = p[others].sum(), q[others].sum()
    tckd = p[target] * np.log(p[target] / q[target])
    tckd += p_rest * np.log(p_rest / q_rest)
    p_hat, q_hat = p[others] / p_rest, q[others] / q_rest
    nckd = np.sum(p_hat * np.log(p_hat / q_hat))
    return temperature**2 * (alpha * tckd + beta * nckd)


@pytest.mark.parametrize("labels", [None, [3, 0, 1, 2, 9]])
def test_dkd_equals_the_formula(labels):
    teacher, student = random_logits(0), random_logits(1)
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
        hand_dkd(t, s, target, 4.0, 0.5, 3.0)
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
    teacher, student = random_logits(0), random_logits(1)
    sure = hand_softened(teacher, 2.0).max(-1)
    decoupled = losses.dkd_loss(
        teacher_logits=teacher,
        student_logits=student,
        temperature=2.0,
        beta=1.0 - sure,
    )
    np.testing.assert_allclose(
        decoupled, hand_loss(teacher, student, 2.0), rtol=1e-4
    )


def hand_dist(teacher, student, temperature, beta, gamma):
    p, q = (hand_softened(x, temperature) for x in (teacher, student))
    rows = [1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p, q)]
    columns = [1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p.T, q.T)]
    return temperature**2 * (beta * np.array(rows) + gamma * np.mean(columns))


def test_dist_equals_numpy_s_correlations():
    teacher, student = random_logits(0, (8, 10)), random_logits(1, (8, 10))
    loss = losses.dist_loss(
        teacher_logits=teacher,
        student_logits=student,
        temperature=3.0,
        beta=2.0,
        gamma=0.5,
    )
    np.testing.assert_allclose(
        loss, hand_dist(teacher, student, 3.0, 2.0, 0.5), rtol=1e-4
    )


def test_dist_by_hand():
    # Softened rows (1/4, 3/4) and (3/4, 1/4), the student's turned around:
    # every correlation is -1, so the loss is (1 + 1) + (1 + 1).
    rows = np.log([[0.25, 0.75], [0.75, 0.25]])
    loss = losses.dist_loss(
        teacher_logits=rows, student_logits=rows[::-1], temperature=1.0
    )
    np.testing.assert_allclose(loss, [4.0, 4.0], atol=1e-4)


def test_dist_sees_relations_not_values():
    """A student whose probabilities are a p + b has nothing to learn."""
    p = hand_softened(random_logits(0, (6, 5)), 1.0)
    student = np.log(0.5 * p + 0.1)
    loss = losses.dist_loss(
        teacher_logits=np.log(p), student_logits=student, temperature=1.0
    )
    np.testing.assert_allclose(loss, np.zeros(6), atol=1e-4)
    assert np.all(hand_loss(np.log(p), student, 1.0) > 0.01)


def test_mse_by_hand():
    # Without their means: student (1, 0, -1), teacher (0, 0, 0): 2 / (2 * 3).
    loss = losses.mse_loss(
        teacher_logits=[[7.0, 7.0, 7.0]], student_logits=[[3.0, 2.0, 1.0]]
    )
    np.testing.assert_allclose(loss, [1 / 3], atol=1e-6)


def test_mse_is_the_limit_of_the_kl_loss_at_high_temperature():
    """In value and in gradient, (z - v) / N (the paper's eq. 4)."""
    teacher, student = random_logits(0), random_logits(1)
    exact = losses.mse_loss(teacher_logits=teacher, student_logits=student)
    near = hand_loss(teacher, student, 1e4)
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


def test_standardized_logits_by_hand():
    # (2, 0) and (0, 5) become (1, -1) and (-1, 1), whatever their size.
    loss = losses.distillation_loss(
        teacher_logits=[[2.0, 0.0]],
        student_logits=[[0.0, 5.0]],
        temperature=1.0,
        standardize=True,
    )
    np.testing.assert_allclose(
        loss, [hand_loss([1.0, -1.0], [-1.0, 1.0], 1.0)], rtol=1e-4
    )


def test_standardized_logits_need_not_be_as_large():
    teacher = random_logits(0)
    options = {"teacher_logits": teacher, "student_logits": 0.1 * teacher + 3}
    loss = losses.distillation_loss(
        **options, temperature=2.0, standardize=True
    )
    np.testing.assert_allclose(loss, np.zeros(5), atol=1e-5)
    plain = losses.distillation_loss(**options, temperature=2.0)
    assert np.all(plain > 0.1)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_is_float32_with_no_gradient_into_the_teacher(name):
    teacher = tf.constant(random_logits(0), tf.float16)
    student = tf.constant(random_logits(1), tf.float16)
    with tf.GradientTape() as tape:
        tape.watch([teacher, student])
        loss = losses.LOSSES[name](
            teacher_logits=teacher, student_logits=student, temperature=4.0
        )
    assert loss.dtype == tf.float32 and loss.shape == (5,)
    of_teacher, of_student = tape.gradient(loss, [teacher, student])
    assert of_teacher is None
    assert np.abs(of_student).max() > 1e-3


@pytest.mark.parametrize("name", losses.LOSSES)
@pytest.mark.parametrize("standardize", [False, True])
def test_every_loss_learns_from_extreme_logits(name, standardize):
    """Sure and wrong, and constant: the gradient stays finite."""
    if standardize and name != "kl":
        pytest.skip("a switch of kl alone")
    options = {"standardize": True} if standardize else {}
    teacher = np.array([[40.0, 0, 0], [0, 0, 0], [0, 90, 0]])
    student = tf.constant([[0.0, 40, 0], [0, 0, 0], [5, 5, 5]])
    with tf.GradientTape() as tape:
        tape.watch(student)
        loss = losses.LOSSES[name](
            teacher_logits=teacher,
            student_logits=student,
            temperature=1.0,
            **options,
        )
    gradient = tape.gradient(loss, student).numpy()
    assert np.isfinite(loss).all() and np.isfinite(gradient).all()
    assert loss[0] > 0.1
    # Towards the right class, however sure and wrong the student is; only the
    # correlation of saturated probabilities has no slope.
    if name != "dist":
        assert gradient[0, 0] < -1e-3


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_refuses_other_class_counts(name):
    with pytest.raises(ValueError, match=r"\(2, 4\).*\(2, 3\)"):
        losses.LOSSES[name](
            teacher_logits=np.zeros((2, 4)),
            student_logits=np.zeros((2, 3)),
            temperature=1.0,
        )

"""Losses on features against numpy in float64, and their gradients."""

import numpy as np
import pytest
import tensorflow as tf

from kd_keras.config import features as config_features
from kd_keras.distillation import feature_losses
from kd_keras.distillation.feature_losses import FEATURE_LOSSES

QUEUE = np.random.default_rng(7).normal(size=(6, 4))
QUEUE /= np.linalg.norm(QUEUE, axis=-1, keepdims=True)


def features(seed, shape=(5, 4)):
    return np.random.default_rng(seed).normal(size=shape)


def norm(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def mse(t, s):
    return np.mean((s - t) ** 2, axis=-1)


def cosine(t, s):
    return 1 - np.sum(norm(t) * norm(s), axis=-1)


def attention(t, s):
    t, s = (norm(x.reshape(len(x), -1)) for x in (t, s))
    return np.sum((s - t) ** 2, axis=-1)


def queue_kl(t, s, filled=4, temperature=0.5):
    def log_softmax(x):
        x = norm(x) @ QUEUE[:filled].T / temperature
        return x - np.log(np.sum(np.exp(x), axis=-1, keepdims=True))

    log_p, log_q = log_softmax(t), log_softmax(s)
    return np.sum(np.exp(log_p) * (log_p - log_q), axis=-1)


def huber(x):
    x = np.abs(x)
    return np.where(x < 1, x**2 / 2, x - 0.5)


def relational(t, s, distance=2.0, angle=3.0):
    """Example by example, pair by pair, as the paper writes it."""
    n = len(t)

    def relations(x):
        d = np.linalg.norm(x[:, None] - x[None], axis=-1)
        e = [
            [norm(x[j] - x[i]) if i != j else 0 for j in range(n)]
            for i in range(n)
        ]
        return d / (d.sum() / (n * (n - 1))), e

    (dt, et), (ds, es) = relations(t), relations(s)
    result = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        result[i] += distance * np.mean(huber(ds[i] - dt[i])[others])
        result[i] += angle * np.mean(
            [
                huber(es[i][j] @ es[i][k] - et[i][j] @ et[i][k])
                for j in others
                for k in others
                if j != k
            ]
        )
    return result


# The loss, its value in numpy, and its further arguments.
CASES = {
    "mse": (mse, {}),
    "cosine": (cosine, {}),
    "attention": (attention, {}),
    "queue_kl": (
        queue_kl,
        {"queue": QUEUE, "num_filled": 4, "queue_temperature": 0.5},
    ),
    "relational": (relational, {"distance_weight": 2.0, "angle_weight": 3.0}),
}


def loss_of(name, teacher, student):
    options = {
        key: tf.constant(value, tf.float32) if key == "queue" else value
        for key, value in CASES[name][1].items()
    }
    return FEATURE_LOSSES[name].function(
        teacher_features=tf.constant(teacher, tf.float32),
        student_features=student,
        **options,
    )


def test_all_losses_are_tried_and_have_options_in_the_configuration():
    assert CASES.keys() == FEATURE_LOSSES.keys()
    assert tuple(FEATURE_LOSSES) == config_features.FEATURE_LOSSES


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name):
    teacher, student = features(0), features(1)
    by_hand = CASES[name][0]
    given = tf.constant(student, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = loss_of(name, teacher, given)
    np.testing.assert_allclose(loss, by_hand(teacher, student), rtol=2e-5)
    assert loss.shape == (5,) and loss.dtype == tf.float32
    expected = np.zeros_like(student)
    for place in np.ndindex(student.shape):
        step = np.zeros_like(student)
        step[place] = 1e-6
        expected[place] = (
            np.sum(
                by_hand(teacher, student + step)
                - by_hand(teacher, student - step)
            )
            / 2e-6
        )
    gradient = tape.gradient(loss, given)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("student", [0.0, 1e4, "teacher"])
def test_extremes_have_finite_gradients(name, student):
    """Features that are 0, alike for all images, large, or the teacher's."""
    teacher = features(0)
    value = teacher if student == "teacher" else np.full((5, 4), student)
    given = tf.constant(value, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = loss_of(name, teacher, given)
    assert np.all(np.isfinite(loss))
    assert np.all(np.isfinite(tape.gradient(loss, given)))
    if student == "teacher":
        np.testing.assert_allclose(loss, np.zeros(5), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cosine", lambda x: 3 * x),
        ("queue_kl", lambda x: 3 * x),
        ("attention", lambda x: 3 * x),
        ("relational", lambda x: 3 * x + 5),
    ],
)
def test_invariance_to_scale_and_shift(name, change):
    teacher, student = features(0), tf.constant(features(1), tf.float32)
    expected = loss_of(name, teacher, student)
    for changed in (
        loss_of(name, change(teacher), student),
        loss_of(name, teacher, change(student)),
    ):
        np.testing.assert_allclose(changed, expected, rtol=1e-4, atol=1e-6)


def test_standardized_mse_ignores_scale_and_shift_of_the_teacher():
    teacher, student = features(0), features(1)
    standard = (teacher - teacher.mean(-1, keepdims=True)) / teacher.std(
        -1, keepdims=True
    )
    loss = feature_losses.mse_loss(
        teacher_features=7 * teacher + 2,
        student_features=student,
        standardize=True,
    )
    np.testing.assert_allclose(loss, mse(standard, student), rtol=1e-4)


def test_small_batches_have_no_relations():
    one, two = (
        feature_losses.relational_loss(
            teacher_features=features(0, (n, 3)),
            student_features=tf.constant(features(1, (n, 4)), tf.float32),
        )
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, [0.0])
    # One distance is its own mean.
    np.testing.assert_allclose(two, [0.0, 0.0], atol=1e-6)


def test_copies_of_an_image_are_compared_without_their_direction():
    teacher = features(0)
    teacher[1] = teacher[0]
    given = tf.constant(features(1), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = loss_of("relational", teacher, given)
    assert np.all(np.isfinite(tape.gradient(loss, given)))
    swapped = loss_of(
        "relational", features(1), tf.constant(teacher, tf.float32)
    )
    np.testing.assert_allclose(loss, swapped, rtol=1e-4)


def test_attention_map_by_hand():
    feature = np.zeros((1, 1, 2, 2))
    feature[0, 0] = [[1.0, 1.0], [2.0, -2.0]]
    # Mean squares 1 and 4.
    np.testing.assert_allclose(
        feature_losses.attention_map(feature),
        [[[1 / 17**0.5, 4 / 17**0.5]]],
        rtol=1e-6,
    )


@pytest.mark.parametrize("name", ["mse", "cosine", "queue_kl", "attention"])
def test_other_shapes_are_refused(name):
    with pytest.raises(ValueError, match=r"same shape.*\(5, 3\).*\(5, 4\)"):
        loss_of(name, features(0, (5, 3)), features(1))

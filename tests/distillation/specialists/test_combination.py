"""Eq. 5 by hand, at limits and against a slow reference."""

import nets
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import subclassed
import tensorflow as tf
from keras import layers

from kd_keras.distillation import specialists

SETS = [[0, 1, 2], [0, 3], [1, 4, 0]]


def random_logits(*, count=6, seed=0, scale=2.0):
    generator = np.random.default_rng(seed)
    generalist = scale * generator.normal(size=(count, 6))
    generalist = generalist.astype("float32")
    members = [
        scale * generator.normal(size=(count, len(classes) + 1))
        for classes in SETS
    ]
    return generalist, [logits.astype("float32") for logits in members]


def objective(log_q, generalist_logits, specialist_logits, class_sets):
    """Eq. 5 of one example, as it is written."""

    def kl(log_p, log_q):
        return np.sum(np.exp(log_p) * (log_p - log_q))

    log_q = log_q - scipy.special.logsumexp(log_q)
    total = kl(scipy.special.log_softmax(generalist_logits), log_q)
    for logits, classes in zip(specialist_logits, class_sets):
        others = np.setdiff1d(np.arange(len(log_q)), classes)
        dustbin = scipy.special.logsumexp(log_q[others])
        log_q_m = np.append(log_q[classes], dustbin)
        total += kl(scipy.special.log_softmax(logits), log_q_m)
    return total


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2.0, 6.0])
def test_eq_5_is_minimised_as_by_a_slow_reference(scale):
    generalist, members = random_logits(scale=scale)
    # The generalist's choice makes three, two, one and no specialist active.
    for row, top in enumerate([0, 0, 0, 1, 3, 5]):
        generalist[row, top] = generalist[row].max() + 0.1
    log_q = specialists.combine(generalist, members, SETS).numpy()
    np.testing.assert_allclose(np.exp(log_q).sum(-1), 1, rtol=1e-6)
    for row, top in enumerate([0, 0, 0, 1, 3, 5]):
        active = [m for m, classes in enumerate(SETS) if top in classes]
        given = (
            generalist[row].astype("float64"),
            [members[m][row].astype("float64") for m in active],
            [SETS[m] for m in active],
        )
        reference = scipy.optimize.minimize(
            objective, np.zeros(6), given, method="BFGS", options={"gtol": 1e-7}
        )
        np.testing.assert_allclose(
            np.exp(log_q[row]), scipy.special.softmax(reference.x), atol=2e-5
        )
        ours = objective(log_q[row].astype("float64"), *given)
        assert ours <= reference.fun + 1e-7


def test_without_an_active_specialist_it_is_the_generalist():
    generalist, members = random_logits()
    generalist[:, 5] = 9.0
    np.testing.assert_allclose(
        specialists.combine(generalist, members, SETS),
        tf.nn.log_softmax(generalist),
        atol=1e-6,
    )


def test_one_specialist_by_hand():
    generalist = np.log([[0.5, 0.1, 0.3, 0.1]])
    special = np.log([[0.2, 0.2, 0.6]])
    # Its classes: the mean of both. The rest, (0.4 + 0.6) / 2, is divided
    # as the generalist divides it, 3 : 1.
    q = np.exp(specialists.combine(generalist, [special], [[0, 1]]))
    np.testing.assert_allclose(q, [[0.35, 0.15, 0.375, 0.125]], rtol=1e-5)


def test_all_mass_in_the_dustbin_leaves_half_of_the_generalist_s():
    generalist = np.log([[0.5, 0.1, 0.3, 0.1]])
    special = np.array([[-200.0, -200.0, 200.0]])
    q = np.exp(specialists.combine(generalist, [special], [[0, 1]]))
    np.testing.assert_allclose(q, [[0.25, 0.05, 0.525, 0.175]], rtol=1e-5)


def test_specialists_that_agree_with_the_generalist_change_nothing():
    generalist, _ = random_logits(scale=30.0)
    members = [specialists.with_dustbin(generalist, c) for c in SETS]
    np.testing.assert_allclose(
        specialists.combine(generalist, members, SETS),
        tf.nn.log_softmax(generalist),
        atol=1e-4,
    )


@pytest.mark.slow
def test_an_example_s_result_does_not_depend_on_its_batch():
    generalist, members = random_logits(count=200)
    generalist[:, 0] += 4.0

    @tf.function(reduce_retracing=True)
    def combine(generalist, members):
        return specialists.combine(generalist, members, SETS)

    def alone(i):
        return combine(
            tf.constant(generalist[i : i + 1]),
            [tf.constant(member[i : i + 1]) for member in members],
        )[0]

    together = combine(
        tf.constant(generalist), [tf.constant(member) for member in members]
    )
    np.testing.assert_array_equal([alone(i) for i in range(200)], together)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], r"some of the 6 classes.*Received: \[\]"),
        ([0, 1, 2, 3, 4, 5], "leave some to the dustbin"),
        ([0, 1], r"Received: 4 for \[0, 1\]"),
    ],
)
def test_a_set_that_does_not_fit_is_refused(classes, message):
    generalist, members = random_logits()
    with pytest.raises(ValueError, match=message):
        specialists.combine(generalist, members[:1], [classes])


def test_untrained_specialists_predict_as_the_generalist():
    generalist = nets.make_network()
    network = specialists.combined_network(
        generalist,
        [nets.copy_of(generalist) for _ in range(2)],
        [[0, 1], [1, 2]],
    )
    images = nets.make_images()
    np.testing.assert_allclose(
        network(images), tf.nn.log_softmax(generalist(images)), atol=1e-5
    )


@pytest.mark.slow
def test_networks_that_are_more_than_their_layers_are_called_themselves():
    images = np.random.default_rng(0).uniform(0, 9, (7, 8, 8, 3))
    generalist, doubled = (
        subclassed.Doubled(layers.Flatten(), layers.Dense(5)) for _ in range(2)
    )
    heads = subclassed.Heads()
    special = [heads(images)["logits"], doubled(images)]
    class_sets = [[0, 1, 2], [1, 3]]
    expected = specialists.combine(
        generalist(images),
        [
            specialists.with_dustbin(logits, classes)
            for logits, classes in zip(special, class_sets)
        ],
        class_sets,
    )
    network = specialists.combined_network(
        generalist, [heads, doubled], class_sets
    )
    np.testing.assert_allclose(network(images), expected, atol=1e-5)

"""Specialists: sets, dustbin, eq. 5 against a slow reference, the stage."""

import keras
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import tensorflow as tf
from nets import copy_of, make_images, make_labels, make_network

from kd_keras.data import datasets
from kd_keras.distillation import specialists

# Sets of confusable classes


def predictions_of_blocks(blocks, *, count=50):
    """Certain of the block, even among its classes: a block covariance."""
    num_classes = sum(len(block) for block in blocks)
    rows = np.zeros((len(blocks), num_classes))
    for row, block in zip(rows, blocks):
        row[block] = 1 / len(block)
    return np.tile(rows, (count, 1))


@pytest.mark.parametrize("seed", [0, 1])
def test_classes_predicted_together_are_a_set(seed):
    blocks = [[0, 3, 5], [1, 4], [2, 6]]
    sets = specialists.confusable_sets(
        predictions_of_blocks(blocks), num_sets=3, seed=seed
    )
    assert sets == blocks


def test_sets_of_a_size_take_whom_the_cluster_covaries_with_most():
    predictions = np.array(
        [
            [0.45, 0.45, 0.0, 0.0, 0.1, 0.0],
            [0.0, 0.0, 0.45, 0.45, 0.0, 0.1],
            [0.05, 0.0, 0.0, 0.0, 0.5, 0.45],
        ]
    )

    def sets(num_classes):
        return specialists.confusable_sets(
            predictions, num_sets=3, num_classes=num_classes
        )

    assert sets(0) == sets(2) == [[0, 1], [2, 3], [4, 5]]
    assert sets(3) == [[0, 1, 4], [0, 4, 5], [2, 3, 5]]


def test_no_two_sets_of_a_size_are_the_same():
    # Two pairs, each of which is confused with the other next.
    predictions = np.array(
        [
            [0.4, 0.4, 0.1, 0.1, 0.0, 0.0],
            [0.1, 0.1, 0.4, 0.4, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.6, 0.4],
        ]
    )

    def sets(num_classes):
        return specialists.confusable_sets(
            predictions, num_sets=3, num_classes=num_classes
        )

    assert sets(2) == [[0, 1], [2, 3], [4, 5]]
    alike, other, _ = sets(4)
    assert alike == [0, 1, 2, 3]
    # Of the other pair, what it is confused with least gave way.
    assert len(set(other) & {4, 5}) == 1
    assert set(other) >= {0, 1} or set(other) >= {2, 3}


def test_sets_follow_from_predictions_and_seed():
    # Nothing to find: what k-means ends in depends on where it starts.
    predictions = np.random.default_rng(0).dirichlet(np.ones(40), 200)

    def sets(seed):
        return specialists.confusable_sets(predictions, num_sets=9, seed=seed)

    assert sets(0) == sets(0) != sets(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_sets": 1}, "2 to 4 sets of 4 classes. Received: num_sets=1"),
        ({"num_sets": 5}, "Received: num_sets=5"),
        ({"num_sets": 2, "num_classes": 4}, "Received: num_classes=4"),
    ],
)
def test_sets_that_cannot_be_are_refused(options, message):
    predictions = predictions_of_blocks([[0, 1], [2, 3]])
    with pytest.raises(ValueError, match=message):
        specialists.confusable_sets(predictions, **options)


def test_a_generalist_that_tells_nothing_apart_is_refused():
    with pytest.raises(ValueError, match="predicted differently. Received: 1"):
        specialists.confusable_sets(np.full((9, 4), 0.25), num_sets=2)


# The dustbin


def test_the_dustbin_has_the_sum_of_the_others():
    probabilities = np.array([[0.1, 0.2, 0.3, 0.4]])
    logits = np.log(probabilities) + 5.0
    got = tf.nn.softmax(specialists.with_dustbin(logits, [2, 0]))
    np.testing.assert_allclose(got, [[0.3, 0.1, 0.6]], rtol=1e-6)
    raised = specialists.with_dustbin(logits, [2, 0], offset=np.log(2.0))
    # 0.3 : 0.1 : 1.2
    np.testing.assert_allclose(
        tf.nn.softmax(raised), [[0.1875, 0.0625, 0.75]], rtol=1e-6
    )


def test_the_correction_gives_the_posterior_of_the_true_frequencies():
    # p(x | class) of three classes, the last the dustbin, for four pictures.
    likelihoods = np.random.default_rng(0).dirichlet(np.ones(4), 3).T
    priors = np.array([0.1, 0.2, 0.7])

    def posterior(priors):
        joint = likelihoods * priors
        return joint / joint.sum(-1, keepdims=True)

    # Special examples are 0.3 of all, and half of what is trained on.
    trained = posterior(np.array([0.5 / 3, 1.0 / 3, 0.5]))
    correction = specialists.log_oversampling(share=0.5, prior=0.3)
    assert correction == pytest.approx(np.log(7 / 3))
    logits = np.log(trained) + [0, 0, correction]
    np.testing.assert_allclose(
        scipy.special.softmax(logits, axis=-1), posterior(priors)
    )
    assert specialists.log_oversampling(share=0.3, prior=0.3) == 0
    with pytest.raises(ValueError, match=r"prior must be in \(0, 1\)"):
        specialists.log_oversampling(share=0.5, prior=1.0)


# Eq. 5

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


def test_accuracy_is_counted_by_how_many_cover_the_true_class():
    def logits(classes):
        return np.eye(6)[classes]

    rows = specialists.accuracy_by_coverage(
        labels=np.array([0, 0, 3, 5, 1]),
        generalist_logits=logits([0, 1, 2, 5, 1]),
        logits=logits([0, 0, 3, 1, 0]),
        class_sets=SETS,
    )
    names = ("covering", "examples", "generalist_correct", "correct")
    assert rows == [
        dict(zip(names, row))
        for row in ([0, 1, 1, 0], [1, 1, 0, 1], [2, 1, 1, 0], [3, 2, 1, 2])
    ]


# Training


def test_an_epoch_is_half_special_throughout_and_repeats_nobody():
    labels = np.array([0] * 10 + [1] * 30 + [2] * 20)
    examples = datasets.Examples(
        make_images(60).astype("uint8"), labels, ids=np.arange(60) + 7
    )
    enriched = datasets.EnrichedExamples(examples, [0, 2], share=0.5)
    assert len(enriched) == 60

    def epoch(number, share_of=enriched, seed=3):
        batches = share_of.batches(8, labels=True, seed=seed, epoch=number)
        return [(ids.numpy(), found.numpy()) for ids, _, found in batches]

    seen = epoch(0)
    assert sum(len(ids) for ids, _ in seen) == 60
    for ids, found in seen:
        assert abs(np.isin(found, [0, 2]).sum() - len(ids) / 2) <= 1
        np.testing.assert_array_equal(found, labels[ids - 7])
    every = np.concatenate([ids for ids, _ in seen])
    assert len(set(every)) == 60

    def ids_of(batches):
        return np.concatenate([ids for ids, _ in batches]).tolist()

    # A pure function of seed and epoch.
    assert ids_of(epoch(0)) == every.tolist()
    assert ids_of(epoch(1)) != every.tolist() != ids_of(epoch(0, seed=4))
    # The scarcer kind is shown whole, of the other a new part each time.
    scarce = datasets.EnrichedExamples(examples, [0], share=0.5)
    assert len(scarce) == 20
    first, second = (set(ids_of(epoch(e, scarce))) for e in (0, 1))
    assert set(range(7, 17)) <= first & second and first != second
    quarter = datasets.EnrichedExamples(examples, [0], share=0.25)
    assert len(quarter) == 40
    # In order and without a seed it is the whole set.
    whole = np.concatenate([i for i, _ in scarce.batches(8, labels=False)])
    np.testing.assert_array_equal(whole, examples.ids)
    with pytest.raises(ValueError, match="0 of classes.*60 of others"):
        datasets.EnrichedExamples(examples, [5], share=0.5)


def make_trainer(network, generalist, **options):
    options = {
        "classes": [3, 1],
        "log_oversampling": 0.7,
        "temperature": 2.0,
        "soft_loss_weight": 0.25,
        **options,
    }
    model = specialists.SpecialistTrainer(network, generalist, **options)
    model.compile(keras.optimizers.SGD(0.1))
    return model


def test_the_loss_is_that_of_classes_dustbin_and_soft_targets_elsewhere():
    network, generalist = make_network(), make_network()
    images, labels = make_images(), make_labels()
    logs = make_trainer(network, generalist).evaluate(
        images, labels, verbose=0, return_dict=True, batch_size=16
    )
    z = network(images).numpy().astype("float64")
    v = generalist(images).numpy().astype("float64")
    # The dustbin's logit, lowered in training.
    dustbin = scipy.special.logsumexp(z[:, [0, 2, 4]], axis=-1) - 0.7
    log_probs = scipy.special.log_softmax(
        np.stack([z[:, 3], z[:, 1], dustbin], -1), axis=-1
    )
    place = np.array([2, 1, 2, 0, 2])[labels]
    hard = -log_probs[np.arange(50), place]
    log_p, log_q = (scipy.special.log_softmax(x / 2, axis=-1) for x in (v, z))
    soft = 4 * (np.exp(log_p) * (log_p - log_q)).sum(-1) * (place == 2)
    assert logs["hard_loss"] == pytest.approx(hard.mean(), rel=1e-4)
    assert logs["soft_loss"] == pytest.approx(soft.mean(), rel=1e-4)
    assert logs["loss"] == pytest.approx((hard + soft / 4).mean(), rel=1e-4)
    assert logs["accuracy"] == pytest.approx((z.argmax(-1) == labels).mean())


def test_training_leaves_the_generalist_alone():
    network, generalist = make_network(), make_network(batch_norm=True)
    before = copy_of(generalist)
    model = make_trainer(network, generalist)
    start = network.get_weights()[0].copy()
    model.fit(make_images(), make_labels(), verbose=0)
    for a, b in zip(before.get_weights(), generalist.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(start, network.get_weights()[0])
    assert len(model.weights) == len(network.weights)


def test_untrained_specialists_are_the_generalist():
    generalist = make_network()
    network = specialists.combined_network(
        generalist, [copy_of(generalist) for _ in range(2)], [[0, 1], [1, 2]]
    )
    images = make_images()
    np.testing.assert_allclose(
        network(images), tf.nn.log_softmax(generalist(images)), atol=1e-5
    )

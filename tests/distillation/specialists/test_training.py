"""The loss of a specialist, and the weights that its training changes."""

import keras
import nets
import numpy as np
import pytest
import scipy.optimize
import scipy.special

from kd_keras.distillation import specialists


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


@pytest.mark.slow
def test_the_loss_of_classes_dustbin_and_soft_targets_by_hand():
    network, generalist = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(), nets.make_labels()
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


@pytest.mark.slow
def test_training_leaves_the_generalist_unchanged():
    network, generalist = (
        nets.make_network(),
        nets.make_network(batch_norm=True),
    )
    before = nets.copy_of(generalist)
    model = make_trainer(network, generalist)
    start = network.get_weights()[0].copy()
    model.fit(nets.make_images(), nets.make_labels(), verbose=0)
    for a, b in zip(before.get_weights(), generalist.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(start, network.get_weights()[0])
    assert len(model.weights) == len(network.weights)

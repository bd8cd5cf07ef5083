"""The dustbin's probability and its correction."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import tensorflow as tf

from kd_keras.distillation import specialists


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
    # p(x | class) of three classes, the last the dustbin, for four images.
    likelihoods = np.random.default_rng(0).dirichlet(np.ones(4), 3).T
    priors = np.array([0.1, 0.2, 0.7])

    def posterior(priors):
        joint = likelihoods * priors
        return joint / joint.sum(-1, keepdims=True)

    # Special examples are 0.3 of all, and half in training.
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

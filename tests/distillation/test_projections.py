"""Projections of features."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.config import features as config_features
from kd_keras.distillation import projections


def test_the_table_has_the_names_of_the_configuration():
    assert tuple(projections.PROJECTIONS) == config_features.PROJECTIONS


@pytest.mark.parametrize("sizes", [(3, 5), (5, 3), (4, 4)])
def test_the_orthogonal_matrix_stays_orthogonal_in_training(sizes):
    rows, columns = sizes
    layer = projections.PROJECTIONS["orthogonal"](columns)
    layer.build((None, rows))
    features = np.random.default_rng(0).normal(size=(6, rows)).astype("f")
    before = layer.matrix().numpy()
    optimizer = keras.optimizers.SGD(0.5)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((layer(features) - 1.0) ** 2)
        variables = layer.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables)
        )
    matrix = layer.matrix().numpy()
    small = min(sizes)
    gram = matrix @ matrix.T if rows < columns else matrix.T @ matrix
    np.testing.assert_allclose(gram, np.eye(small), atol=1e-5)
    assert np.abs(matrix - before).max() > 0.01
    np.testing.assert_allclose(layer(features), features @ matrix, atol=1e-5)


def test_a_fresh_orthogonal_projection_keeps_lengths():
    layer = projections.PROJECTIONS["orthogonal"](7)
    features = np.random.default_rng(0).normal(size=(6, 4)).astype("f")
    np.testing.assert_allclose(
        np.linalg.norm(layer(features), axis=-1),
        np.linalg.norm(features, axis=-1),
        rtol=1e-5,
    )


def test_the_gradient_of_the_orthogonal_matrix():
    layer = projections.PROJECTIONS["orthogonal"](3)
    layer.build((None, 4))
    weights = np.random.default_rng(1).normal(size=(4, 3)).astype("f")
    start = layer.free.numpy()

    def value(free):
        q, r = np.linalg.qr(free)
        return np.sum(q * np.sign(np.diag(r)) * weights)

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer.matrix() * weights)
    gradient = tape.gradient(loss, layer.free.value)
    for place in np.ndindex(start.shape):
        step = np.zeros(start.shape)
        step[place] = 1e-5
        slope = (value(start + step) - value(start - step)) / 2e-5
        assert float(gradient[place]) == pytest.approx(slope, abs=1e-3), place

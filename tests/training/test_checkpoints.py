"""Checkpoints: all that a training needs to resume.

That a resumed run ends in the bits of an uninterrupted one is tested in
`test_fitting.py`.
"""

import keras
import nets
import numpy as np

import kd_keras
from kd_keras.training import checkpoints


def test_a_checkpoint_restores_optimizer_and_random_state(tmp_path):
    def make():
        network = nets.make_network(batch_norm=True, dropout=0.5)
        optimizer = keras.optimizers.Adam(0.01)
        distiller = kd_keras.Distiller(network, nets.make_network())
        distiller.compile(optimizer=optimizer)
        optimizer.build(network.trainable_variables)
        return distiller, checkpoints.Checkpoints(tmp_path, network, optimizer)

    images = nets.make_images(16)
    first, states = make()
    assert states.restore() == 0
    first.fit(images, epochs=2, verbose=0)
    states.save(2)
    second, states = make()
    assert states.restore() == 2
    for a, b in zip(
        [*first.network.variables, *first.optimizer.variables],
        [*second.network.variables, *second.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert int(second.optimizer.iterations) == 2
    assert any("seed" in v.path for v in second.network.variables)

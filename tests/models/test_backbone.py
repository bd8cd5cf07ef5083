"""A network without its classifier."""

import keras
import nets
import numpy as np
import pytest
import subclassed

from kd_keras.models import backbone


def test_the_features_are_those_before_the_classifier():
    network = nets.make_network(units=3)
    features = backbone.backbone(network)(nets.make_images(4))
    logits = network.layers[-1](features)
    np.testing.assert_allclose(logits, network(nets.make_images(4)), atol=1e-5)
    assert features.shape == (4, 3)


def test_a_network_that_is_more_than_its_layers_is_refused():
    network = subclassed.Doubled(keras.layers.Flatten(), keras.layers.Dense(4))
    with pytest.raises(ValueError, match="a call method of its own.*doubled"):
        backbone.backbone(network)

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
    network = subclassed.Heads(name="heads")
    network(np.zeros((1, 8, 8, 3)))
    with pytest.raises(ValueError, match="must be Functional.*heads"):
        backbone.backbone(network)


def test_the_features_are_those_of_the_network_where_others_share_layers():
    inputs, classifier = keras.Input((8, 8, 3)), keras.layers.Dense(4)
    pooled = [
        keras.layers.GlobalAveragePooling2D()(inputs),
        keras.layers.GlobalMaxPooling2D()(inputs),
    ]
    _, network = (keras.Model(inputs, classifier(x)) for x in pooled)
    images = np.random.default_rng(0).normal(size=(5, 8, 8, 3))
    np.testing.assert_allclose(
        backbone.backbone(network)(images), images.max((1, 2)), rtol=1e-6
    )


def test_what_a_network_does_before_its_inner_model_is_kept():
    inputs = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalMaxPooling2D()(inputs)
    inner = keras.Model(inputs, keras.layers.Dense(4)(pooled))
    doubled = keras.layers.Rescaling(2.0)(inputs)
    # The name is that of a network that resizes its images.
    networks = [
        keras.Model(inputs, inner(doubled), name="own_resized"),
        keras.Sequential(
            [inputs, keras.layers.Rescaling(2.0), inner], name="other_resized"
        ),
    ]
    images = np.random.default_rng(0).normal(size=(5, 8, 8, 3))
    for network in networks:
        features = backbone.backbone(network)(images)
        np.testing.assert_allclose(features, 2 * images.max((1, 2)), rtol=1e-6)


def test_a_sequential_network_loses_its_classifier():
    layers = [keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(4)]
    network = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    images = np.random.default_rng(0).normal(size=(5, 8, 8, 3))
    np.testing.assert_allclose(
        backbone.backbone(network)(images), images.max((1, 2)), rtol=1e-6
    )

"""Cuts the classifier off a network."""

import keras

from kd_keras.models import inner_outputs, interface, resizing
from kd_keras.utils import keras_internals


def backbone(network):
    """A network up to its last pooled features, with the same layers.

    Args:
        network: Functional or Sequential `keras.Model`, images -> logits,
            with or without the layers of `resizing.resized`.

    Returns:
        `keras.Model`, images -> features `(batch, size)`; the network
        itself if it ends without a classifier.

    Raises:
        ValueError: if the features cannot be found, or the network's layers
            are called in Python.
    """
    inner = resizing.inner_model(network)
    if inner is not None:
        return resizing.resized(
            backbone(inner),
            interface.input_shape(network)[1:3],
            model_size=interface.input_shape(inner)[1:3],
        )
    place = inner_outputs.last_features(network)
    if not isinstance(place, inner_outputs.Place):
        return network
    is_graph = network.inputs and not keras_internals.has_own_call(network)
    if place.layer not in network.layers or not is_graph:
        raise ValueError(
            "a network whose classifier is cut off must be Functional or "
            "Sequential, without a call method of its own, and with the "
            "classifier among its own layers. Received: "
            f"{network.name} with {place.layer.name}"
        )
    features = place.layer.input if place.is_input else place.layer.output
    return keras.Model(network.input, features, name=f"{network.name}_backbone")

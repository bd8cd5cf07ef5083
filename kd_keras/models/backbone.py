"""Cuts the classifier off a network."""

import keras

from kd_keras.models import inner_outputs, resizing
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
    is_graph = not keras_internals.has_own_call(network)
    if inner is not None and is_graph:
        return _with_inner(network, inner, backbone(inner))
    place = inner_outputs.last_features(network)
    if not isinstance(place, inner_outputs.Place):
        return network
    if place.layer not in network.layers or not is_graph:
        raise ValueError(
            "a network whose classifier is cut off must be Functional or "
            "Sequential, without a call method of its own, and with the "
            "classifier among its own layers. Received: "
            f"{network.name} with {place.layer.name}"
        )
    # The layer may have been called for other networks before.
    call = keras_internals.calls_of(place.layer, network)[-1]
    features = call.inputs[0] if place.is_input else call.output
    name = f"{network.name}_backbone"
    return keras.Model(network.inputs, features, name=name)


def _with_inner(network, inner, features):
    """The network with other features in place of its inner model."""
    call = keras_internals.calls_of(inner, network)[-1]
    outputs = features(call.inputs[0], **call.arguments)
    name = f"{features.name}_resized"
    return keras.Model(network.inputs, outputs, name=name)

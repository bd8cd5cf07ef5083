"""Names of layers that are the same in every instance of a network."""

import collections
import re

import keras

from kd_keras.utils import keras_internals

_NUMBERED = re.compile(r"(.+?)(?:_(\d+))?")


def keys(names, network):
    """Keys of layers, to compare the layers of two networks.

    Keras numbers the layers of a process: `conv2d_7` is `conv2d` elsewhere.
    The key of such a layer has its place among the layers of its class. Other
    layers have their own names, and a place among layers of the same name.

    Args:
        names: list of str, the names of layers, in order.
        network: Keras model, for the classes of its layers.

    Returns:
        List of `(name, place)`, in the same order.
    """
    automatic = _automatic(network)
    entries = []
    for position, name in enumerate(names):
        stem, number = _NUMBERED.fullmatch(name).groups()
        if stem in automatic:
            entries.append((stem, int(number or 0), position))
        else:
            entries.append((name, 0, position))
    places, seen = {}, collections.Counter()
    for stem, _, position in sorted(entries):
        places[position] = (stem, seen[stem])
        seen[stem] += 1
    return [places[position] for position in range(len(names))]


def _automatic(network):
    """The names that Keras gives to layers of its and the network's classes."""
    own = [
        type(layer).__name__ for layer in keras_internals.all_layers(network)
    ]
    return {_snake_case(name) for name in [*dir(keras.layers), *own]}


def _snake_case(name):
    # As Keras: `BatchNormalization` is `batch_normalization`, `ReLU` `re_lu`.
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()

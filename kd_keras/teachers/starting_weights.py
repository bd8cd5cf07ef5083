"""Weights of a file that a network starts from, layer by layer."""

import functools
import math
import typing

from kd_keras.models import layer_names
from kd_keras.teachers import stored_layers
from kd_keras.utils import files, suggestions


class Loaded(typing.NamedTuple):
    """The layers that were loaded into a network, and the others.

    Attributes:
        layers: list of str, the layers that were loaded.
        weights: int, the numbers in them.
        all_layers: int, the layers of the network that have weights.
        all_weights: int, the numbers in these.
        skipped: list of str, the other layers with the reason.
        unused: list of str, the layers of the file that were not loaded.
    """

    layers: list
    weights: int
    all_layers: int
    all_weights: int
    skipped: list
    unused: list

    def __str__(self):
        share = self.weights / self.all_weights
        text = (
            f"{len(self.layers)} of {self.all_layers} layers, "
            f"{100 * share:.1f} % of {self.all_weights:,} weights"
        )
        if self.skipped:
            text += f"; not loaded: {files.named(self.skipped)}"
        if self.unused:
            text += f"; in the file alone: {files.named(self.unused)}"
        return text


def load_weights(network, path):
    """Loads the weights of a file into the layers of the same name and shape.

    Layers whose names Keras numbers, such as `conv2d_7`, are matched by their
    order among the layers of their class. Prints a line about the loaded
    layers and the others.

    Args:
        network: Keras model, built.
        path: str or path of a `.keras` or `.h5` file, also of one with weights
            alone, or of a SavedModel that this project exported.

    Returns:
        `Loaded`.

    Raises:
        FileNotFoundError, ValueError: if the file is none of these or damaged,
            or no layer fits.
    """
    loaded = StartingWeights(path, field="path").load_into(network)
    print(f"{path}: loaded {loaded}")
    return loaded


class StartingWeights:
    """Weights of a file, to start networks from; read on first use.

    Args:
        path: str or path; see `load_weights`.
        field: str, the option that gave the path, for errors.
    """

    def __init__(self, path, *, field):
        self.path = str(path)
        self._field = field

    @functools.cached_property
    def layers(self):
        """The layers in the file: list of `StoredLayer`."""
        return stored_layers.read(self.path, field=self._field)

    @property
    def fingerprint(self):
        """SHA-256 of the names and weights: 64 hex digits."""
        return stored_layers.fingerprint(self.layers)

    def load_into(self, network):
        """Loads the layers of the same name and shape.

        Args:
            network: Keras model, built.

        Returns:
            `Loaded`.

        Raises:
            ValueError: if no layer fits; the network is then unchanged.
        """
        own = _layers(network)
        stored = dict(_keyed(self.layers, network))
        loaded, skipped, used = [], [], set()
        for key, layer in _keyed(own, network):
            shapes = [tuple(x.shape) for x in layer.arrays]
            if key not in stored:
                skipped.append(f"{layer.name} (not in the file)")
                continue
            arrays = stored[key].arrays
            used.add(key)
            stored_shapes = [tuple(array.shape) for array in arrays]
            if stored_shapes != shapes:
                skipped.append(
                    f"{layer.name} {_shown(shapes)}, in the file "
                    f"{_shown(stored_shapes)}"
                )
                continue
            loaded.append((layer, arrays))
        if not loaded:
            self._fail(own, skipped)
        for layer, arrays in loaded:
            for variable, array in zip(layer.arrays, arrays):
                variable.assign(array)
        return Loaded(
            layers=[layer.name for layer, _ in loaded],
            weights=sum(_size(arrays) for _, arrays in loaded),
            all_layers=len(own),
            all_weights=sum(_size(layer.arrays) for layer in own),
            skipped=skipped,
            unused=[x.name for key, x in stored.items() if key not in used],
        )

    def _fail(self, own, skipped):
        names = [layer.name for layer in self.layers]
        hints = [
            suggestions.did_you_mean(layer.name, names)
            for layer in own
            if layer.name not in names
        ]
        raise ValueError(
            f"{self._field} must have layers of the network's names and "
            f"shapes. Received: {self.path} with {files.named(names) or 'none'}"
            f", for {files.named(skipped)}.{max(hints, key=bool, default='')}"
        )


def _layers(network):
    """The layers of a network that have weights: list of `StoredLayer`."""
    layers = {}
    for variable in network.weights:
        prefix = variable.path.rpartition("/")[0]
        layers.setdefault(prefix, []).append(variable)
    return [
        stored_layers.StoredLayer(prefix.rpartition("/")[2], variables)
        for prefix, variables in layers.items()
    ]


def _keyed(layers, network):
    names = [layer.name for layer in layers]
    return zip(layer_names.keys(names, network), layers)


def _shown(shapes):
    return " ".join(str(shape) for shape in shapes)


def _size(arrays):
    return sum(math.prod(array.shape) for array in arrays)

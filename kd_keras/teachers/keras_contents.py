"""Reads the parts of `.keras` and `.h5` files without building a network."""

import collections
import contextlib
import io
import json
import pathlib
import re
import zipfile

from kd_keras.teachers import kind
from kd_keras.utils import archives

# Whole models in the format that preceded `.keras`.
LEGACY_SUFFIXES = (".h5", ".hdf5")


def is_legacy(path):
    """Whether a file has the name of a legacy model."""
    return pathlib.Path(path).suffix in LEGACY_SUFFIXES


def config(path):
    """The network that a file describes: a dict of JSON values."""
    if not is_legacy(path):
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    with _weights_file(path) as file:
        text = file.attrs.get("model_config")
    if text is None:
        raise _weights_alone(path)
    return json.loads(text)


def _weights_alone(path):
    return kind.Unusable(
        "a .h5 file must hold the network beside its weights, as model.save "
        f"writes it. Received: {path} with weights alone"
    )


def keras_version(path):
    """The version of Keras that wrote a file: str, empty if it is unknown."""
    if is_legacy(path):
        with _weights_file(path) as file:
            return str(file.attrs.get("keras_version", ""))
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("metadata.json"))
    return str(metadata.get("keras_version", ""))


def named_weights(path):
    """Yields a name and the array of each weight.

    The names are as in the `.keras` file. For a legacy file, whose names a
    process counts, they are the numbers of layer and weight.
    """
    check_size(path)
    with _weights_file(path) as file:
        named = _legacy_weights if is_legacy(path) else _datasets
        for name, dataset in named(file):
            # The states of dropout's random generators are no weights.
            if "seed_generator" not in name:
                yield name, dataset[()]


def named_layers(path):
    """Yields the name and the list of weights of each layer, in order.

    Args:
        path: path of a `.keras` or `.h5` file, also of one with weights alone.
    """
    check_size(path)
    with _weights_file(path) as file:
        weights = file.get("model_weights", file)
        if "layer_names" in weights.attrs:
            yield from _legacy_layers(weights)
            return
        groups = collections.defaultdict(list)
        for name, dataset in sorted(_datasets(file), key=_natural_order):
            is_optimizer = name.startswith("optimizer/")
            if "seed_generator" not in name and not is_optimizer:
                groups[dataset.parent.name].append(dataset[()])
        for group, arrays in groups.items():
            # `layers/conv2d_1/vars`; older versions did not store the name.
            own_name = group.split("/")[-2]
            yield file[group].attrs.get("name", own_name), arrays


def check_size(path):
    """Raises an error if a small file would take much memory."""
    try:
        if not is_legacy(path):
            archives.check_zip(path)
        with _weights_file(path) as file:
            sizes = []
            # Includes arrays that are not stored, but read as zeros.
            file.visititems(
                lambda _, item: sizes.append(getattr(item, "nbytes", 0))
            )
        archives.check_expansion(path, sum(sizes))
    except ValueError as error:
        raise kind.Unusable(str(error)) from error


@contextlib.contextmanager
def _weights_file(path):
    """The HDF5 file of a model's weights, open for reading."""
    import h5py

    source = path
    if not is_legacy(path):
        with zipfile.ZipFile(path) as archive:
            source = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(source, "r") as file:
        yield file


def _datasets(file):
    import h5py

    names = []
    file.visit(names.append)
    for name in names:
        if isinstance(file[name], h5py.Dataset):
            yield name, file[name]


def _legacy_weights(file):
    if "model_weights" not in file:
        raise _weights_alone(file.filename)
    weights = file["model_weights"]
    layers = _listed(weights, "layer_names")
    if "top_level_model_weights" in weights:
        layers = [*layers, "top_level_model_weights"]
    for number, layer in enumerate(layers):
        names = _listed(weights[layer], "weight_names")
        for index, name in enumerate(names):
            yield f"{number}/{index}", weights[layer][name]


def _legacy_layers(weights):
    for layer in _listed(weights, "layer_names"):
        groups = collections.defaultdict(list)
        for name in _listed(weights[layer], "weight_names"):
            # Names such as `conv2d_1/kernel:0`.
            prefix = _text(name).rpartition("/")[0] or _text(layer)
            groups[prefix].append(weights[layer][name][()])
        for prefix, arrays in groups.items():
            yield prefix.rpartition("/")[2], arrays


def _text(name):
    return name.decode() if isinstance(name, bytes) else name


def _natural_order(entry):
    """Sorts `conv2d_10` behind `conv2d_9`."""
    parts = re.split(r"(\d+)", entry[0])
    return [int(part) if part.isdigit() else part for part in parts]


def _listed(group, attribute):
    """A list of names in the attributes of a group, in one part or several."""
    parts, number = [group.attrs.get(attribute)], 0
    while f"{attribute}{number}" in group.attrs:
        parts.append(group.attrs[f"{attribute}{number}"])
        number += 1
    return [name for part in parts if part is not None for name in part]

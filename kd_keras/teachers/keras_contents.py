"""Reads the parts of `.keras` and `.h5` files without building a network."""

import contextlib
import io
import json
import pathlib
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
        raise kind.Unusable(
            "a .h5 file must hold the network beside its weights, as "
            f"model.save writes it. Received: {path} with weights alone"
        )
    return json.loads(text)


def named_weights(path):
    """Yields a name and the array of each weight.

    The names are those in a `.keras` file. In a legacy file, which has names
    that a process counts, they are the numbers of layer and weight.
    """
    check_size(path)
    with _weights_file(path) as file:
        named = _legacy_weights if is_legacy(path) else _datasets
        for name, dataset in named(file):
            # The states of dropout's random generators are no weights.
            if "seed_generator" not in name:
                yield name, dataset[()]


def check_size(path):
    """Raises an error if a small file would take a large memory."""
    try:
        if not is_legacy(path):
            archives.check_zip(path)
        with _weights_file(path) as file:
            sizes = []
            # Arrays that are not stored, but filled with zeros when read.
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
    weights = file["model_weights"]
    layers = _listed(weights, "layer_names")
    if "top_level_model_weights" in weights:
        layers = [*layers, "top_level_model_weights"]
    for number, layer in enumerate(layers):
        names = _listed(weights[layer], "weight_names")
        for index, name in enumerate(names):
            yield f"{number}/{index}", weights[layer][name]


def _listed(group, attribute):
    """A list of names in the attributes of a group, in one part or several."""
    parts, number = [group.attrs.get(attribute)], 0
    while f"{attribute}{number}" in group.attrs:
        parts.append(group.attrs[f"{attribute}{number}"])
        number += 1
    return [name for part in parts if part is not None for name in part]

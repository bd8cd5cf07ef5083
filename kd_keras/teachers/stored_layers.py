"""Reads the weights of a model file layer by layer, with the layers' names."""

import typing

from kd_keras.teachers import copies, keras_contents, kind, loading, saved_model
from kd_keras.utils import digests


class StoredLayer(typing.NamedTuple):
    """The weights of a layer in a file.

    Attributes:
        name: str, the layer's name.
        arrays: list of arrays, in the order of the layer's weights.
    """

    name: str
    arrays: list


def read(path, *, field="path"):
    """Reads the layers of a file that have weights.

    Args:
        path: str or path of a `.keras` file, a `.weights.h5` file, a legacy
            `.h5` file, or a SavedModel that this project exported.
        field: str, the option that gave the path, for errors.

    Returns:
        List of `StoredLayer`.

    Raises:
        FileNotFoundError, ValueError: if it is none of these, or damaged.
    """
    path = _checked(path, field)
    suffix = _suffix(path)
    loading.check_whole(path)
    with kind.errors_of_loading(path):
        return list(_READERS[suffix](path))


def check(path, *, field):
    """Raises a ValueError unless a path is of a file that `read` takes.

    Args:
        path, field: as of `read`, which alone finds damage.
    """
    try:
        _checked(path, field)
    except FileNotFoundError as error:
        raise ValueError(str(error)) from error


def _checked(path, field):
    """The local path of a file of weights; raises an error as `check`."""
    path = copies.local(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{field} must be a file of weights. Received: {path}, which does "
            "not exist"
        )
    suffix = _suffix(path)
    if suffix not in _READERS or (
        not suffix and not saved_model.can_load(path)
    ):
        raise ValueError(
            f"{field} must be a .keras file, a .weights.h5 file, or a "
            f"SavedModel that this project exported. Received: {path}"
        )
    return path


def _suffix(path):
    return "" if path.is_dir() else path.suffix.lower()


def fingerprint(layers):
    """SHA-256 of the names and weights of layers: 64 hex digits."""
    entries = sorted(
        f"{layer.name} {digests.sha256_of_arrays(*layer.arrays)}"
        for layer in layers
    )
    return digests.sha256_of_text("\n".join(entries))


def _of_saved_model(path):
    from tensorflow.core.protobuf import saved_model_pb2

    contents = (path / "saved_model.pb").read_bytes()
    meta_graph = saved_model_pb2.SavedModel.FromString(contents).meta_graphs[0]
    nodes = meta_graph.object_graph_def.nodes
    arrays = saved_model.network_weights(path)
    (weights,) = [
        nodes[child.node_id]
        for child in nodes[0].children
        if child.local_name == "weights"
    ]
    names = {
        int(child.local_name): nodes[child.node_id].variable.name
        for child in weights.children
    }
    layers = {}
    for i, array in enumerate(arrays):
        # Names such as `conv2d_1/kernel:0`.
        layers.setdefault(names[i].rpartition("/")[0], []).append(array)
    for prefix, of_layer in layers.items():
        yield StoredLayer(prefix.rpartition("/")[2], of_layer)


def _of_keras(path):
    for name, arrays in keras_contents.named_layers(path):
        yield StoredLayer(name, arrays)


_READERS = {
    "": _of_saved_model,
    ".keras": _of_keras,
    ".h5": _of_keras,
    ".hdf5": _of_keras,
}

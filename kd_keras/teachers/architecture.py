"""SHA-256 of the architecture of a `.keras` file, whatever its names."""

import json
import re

from kd_keras.utils import digests, source_code

# Entries that change nothing in what a trained network predicts.
_UNUSED = {"build_config", "compile_config", "shared_object_id", "trainable"}
# A dict with one of them describes a layer, which Keras numbers by process.
_OF_LAYERS = {"batch_shape", "inbound_nodes", "layers", "trainable"}
# Entries that hold names of layers.
_REFERENCES = {"keras_history", "input_layers", "output_layers"}
_OF_KERAS = re.compile(r"keras(_hub)?(\.|$)")


def digest(config):
    """SHA-256 of the network that the `config.json` of a file describes.

    Layers are numbered instead of named. The digest includes the code of
    classes from outside of Keras, as far as it is found.

    Args:
        config: the contents of `config.json`, a dict.

    Returns:
        str, 64 hex digits.
    """
    modules = set()
    normal = _normal(config, {}, modules)
    code = {name: source_code.fingerprint(name) for name in modules}
    return digests.sha256_of_text(json.dumps([normal, code], sort_keys=True))


def _normal(value, numbers, modules):
    """A copy of a JSON value without the names of layers.

    Args:
        value: the value.
        numbers: dict of the names of the surrounding model's layers to their
            numbers.
        modules: set, to which the modules of classes from outside of Keras
            are added.
    """
    if isinstance(value, list):
        return [_normal(item, numbers, modules) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("layers"), list):
        numbers = {_name(x): i for i, x in enumerate(value["layers"])}
    module = value.get("module")
    is_foreign = isinstance(module, str) and not _OF_KERAS.match(module)
    if is_foreign:
        modules.add(module)
    unused = _UNUSED | ({"name"} if _OF_LAYERS & value.keys() else set())
    # Versions of Keras differ in where a class is, and add empty entries.
    unused |= set() if is_foreign else {"module"}
    return {
        key: _numbered(item, numbers)
        if key in _REFERENCES
        else _normal(item, numbers, modules)
        for key, item in value.items()
        if key not in unused and item is not None
    }


def _name(layer):
    """The name of a layer, or None for another value."""
    config = layer.get("config") if isinstance(layer, dict) else None
    return config.get("name") if isinstance(config, dict) else None


def _numbered(reference, numbers):
    """References to layers with their numbers instead of their names."""
    if isinstance(reference, dict):
        return {k: _numbered(v, numbers) for k, v in reference.items()}
    if isinstance(reference, list):
        return [_numbered(item, numbers) for item in reference]
    return numbers.get(reference, reference)

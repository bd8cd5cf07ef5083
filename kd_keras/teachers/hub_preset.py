"""Loads a KerasHub preset as a network, with its own preprocessing."""

import contextlib
import functools
import json
import logging
import os
import pathlib
import typing
import warnings

import keras

from kd_keras.models import activations
from kd_keras.teachers import kind
from kd_keras.utils import packages, suggestions

# The layer with the embedding of a preset without a classifier.
POOLED = "pooled"
# Files of a preset.
_TASK, _TASK_WEIGHTS = "task.json", "task.weights.h5"
_WEIGHTS = ("model.weights.h5", "model.weights.json")
# Text of KerasHub's error for a backbone that has no such class.
_NO_CLASS = "Unable to find a subclass"
# The arrays of a `Dense` layer.
_HEAD_ARRAYS = 2


class Preset(typing.NamedTuple):
    """A preset that is loaded.

    Attributes:
        network: Keras model of preprocessed images `(batch, height, width,
            channels)`. A classifier returns logits: softmax and sigmoid are
            left out. A backbone returns pooled features, the output of its
            layer `POOLED`.
        preprocess: function of images from 0 to 255 -> what the network
            takes; None if the preset has no preprocessor.
        image_size: `(height, width)` that it resizes images to, or None.
        activation: str, the activation of the saved classifier; see
            `activations.of_model`. None for a backbone.
        config: dict of JSON values, without names that Keras counts.
    """

    network: keras.Model
    preprocess: typing.Any
    image_size: tuple | None
    activation: str | None
    config: dict


def load(preset):
    """Loads a preset, the classifier if it has one, else the backbone.

    Args:
        preset: str, a directory that `save_to_preset` wrote, the name of a
            preset of KerasHub, or a handle such as `hf://NAME`.

    Returns:
        `Preset`; the same object as in the last call if nothing has changed.

    Raises:
        ValueError: if the preset does not exist, cannot be downloaded or does
            not take images, or if KerasHub is not installed.
    """
    directory = pathlib.Path(preset)
    files = sorted(directory.iterdir()) if directory.is_dir() else ()
    stats = [(file.name, file.stat()) for file in files if file.is_file()]
    return _load(
        preset, tuple((name, s.st_size, s.st_mtime_ns) for name, s in stats)
    )


def forget():
    """Drops the preset that was loaded last."""
    _load.cache_clear()


# Cached: a teacher is identified by its weights and its graph before its use.
@functools.lru_cache(maxsize=1)
def _load(preset, files):
    del files
    hub = packages.optional("keras_hub", "keras-hub", extra="hub")
    is_directory = os.path.isdir(preset)
    if not is_directory and "://" not in preset:
        _check_name(hub, preset)
    try:
        with _without_logs(), warnings.catch_warnings():
            # The warning that the state of a new optimizer is not in the file.
            warnings.filterwarnings("ignore", "Skipping variable loading")
            return _load_network(hub, preset)
    except kind.Unusable:
        raise
    except Exception as error:
        if is_directory:
            raise
        is_offline = isinstance(error, OSError)
        cause = type(error).__name__ if is_offline else kind.first_line(error)
        raise kind.Unusable(
            "a preset of KerasHub must be one that can be downloaded, or a "
            f"directory that save_to_preset wrote. Received: {preset!r} "
            f"({cause})"
        ) from error


@contextlib.contextmanager
def _without_logs():
    """Hides the log of each attempt to reach a server."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _check_name(hub, preset):
    known = [*hub.models.ImageClassifier.presets, *hub.models.Backbone.presets]
    if preset not in known:
        raise kind.Unusable(
            "keras_hub: must be followed by the name of a preset of KerasHub, "
            "a handle such as hf://NAME or kaggle://NAME, or a directory that "
            f"save_to_preset wrote. Received: {preset!r}."
            f"{suggestions.did_you_mean(preset, known)}"
        )


def _load_network(hub, preset):
    classifier = _load_classifier(hub, preset)
    if classifier is None:
        return _load_backbone(hub, preset)
    converter = getattr(classifier.preprocessor, "image_converter", None)
    config = classifier.get_config()
    # Keras counts the models of a process.
    del config["name"]
    activation = activations.of_model(classifier)
    if activation in ("softmax", "sigmoid"):
        _head(classifier).activation = keras.activations.linear
    has_own = classifier.preprocessor is not None
    return Preset(
        network=classifier,
        preprocess=classifier.preprocess_samples if has_own else None,
        image_size=getattr(converter, "image_size", None),
        activation=activation,
        config={"class_name": type(classifier).__name__, **config},
    )


def _load_classifier(hub, preset):
    """The preset's `ImageClassifier`, or None if it has none."""
    directory = pathlib.Path(preset)
    if (directory / _TASK).is_file():
        return _load_task(hub, directory)
    try:
        return hub.models.ImageClassifier.from_preset(preset)
    except FileNotFoundError:
        # No preprocessor, either.
        return None
    except TypeError as error:
        # A backbone alone does not tell the number of classes.
        if "num_classes" not in str(error):
            raise
    except ValueError as error:
        if _NO_CLASS not in str(error):
            raise
    return None


def _load_task(hub, directory):
    """As `_load_classifier`, for a directory with a task.

    KerasHub saves a classifier of the base class, but `from_preset` loads none.
    """
    config = json.loads((directory / _TASK).read_text(encoding="utf-8"))
    task = keras.saving.deserialize_keras_object(config)
    if not isinstance(task, hub.models.ImageClassifier):
        return None
    task.load_task_weights(str(directory / _TASK_WEIGHTS))
    weights = [directory / name for name in _WEIGHTS]
    found = [path for path in weights if path.is_file()]
    task.backbone.load_weights(found[0] if found else weights[0])
    return task


def _head(classifier):
    layer = classifier
    while isinstance(layer, keras.Model):
        layer = layer.layers[-1]
    return layer


def _load_backbone(hub, preset):
    backbone = hub.models.Backbone.from_preset(preset)
    inputs, pooled = _pooled(hub, preset, backbone)
    embedding = keras.layers.Identity(name=POOLED)(pooled)
    converter = _load_converter(hub, preset)
    return Preset(
        network=keras.Model(inputs, embedding),
        preprocess=converter,
        image_size=getattr(converter, "image_size", None),
        activation=None,
        config={
            "class_name": type(backbone).__name__,
            "backbone": keras.layers.serialize(backbone),
            "converter": converter and keras.layers.serialize(converter),
        },
    )


def _pooled(hub, preset, backbone):
    """Symbolic images and pooled features of a backbone.

    The features are pooled as in the family's classifier, unless that has
    layers below its head, which a backbone's preset has no weights for. Else
    they are the mean over positions, or the first token, the class token.
    """
    classifier = _new_classifier(hub, preset, backbone)
    if classifier is not None:
        num_own = len(classifier.weights) - len(backbone.weights)
        if num_own <= _HEAD_ARRAYS:
            return classifier.input, _head(classifier).input
    inputs, outputs = _symbolic_call(backbone, preset)
    rank = len(getattr(outputs, "shape", ()))
    if rank == 4:
        data_format = getattr(backbone, "data_format", None)
        outputs = keras.layers.GlobalAveragePooling2D(data_format)(outputs)
    elif rank == 3:
        outputs = outputs[:, 0]
    elif rank != 2:
        raise kind.Unusable(
            "a backbone must return one tensor of features. Received: the "
            f"preset {preset}, a {type(backbone).__name__}"
        )
    return inputs, outputs


def _symbolic_call(backbone, preset):
    """Symbolic images, and what a backbone returns for them."""
    expected = backbone.input
    names = list(expected) if isinstance(expected, dict) else []
    image = expected[names[0]] if len(names) == 1 else expected
    if len(getattr(image, "shape", ())) != 4:
        raise kind.Unusable(
            "a teacher must take images. Received: the preset "
            f"{preset}, a {type(backbone).__name__}"
        )
    inputs = keras.Input(image.shape[1:])
    return inputs, backbone({names[0]: inputs} if names else inputs)


def _new_classifier(hub, preset, backbone):
    """An untrained classifier on a backbone, None if there is none."""
    try:
        return hub.models.ImageClassifier.from_preset(
            preset, backbone=backbone, preprocessor=None, num_classes=1
        )
    except (TypeError, ValueError):
        return None


def _load_converter(hub, preset):
    """The `ImageConverter` of a preset, None if it has none."""
    try:
        return hub.layers.ImageConverter.from_preset(preset)
    except FileNotFoundError:
        return None
    except ValueError as error:
        if _NO_CLASS not in str(error):
            raise
        return None

"""Keras networks in a `.keras` file or in a legacy `.h5` file."""

import re

from kd_keras.teachers import architecture, keras_contents, kind
from kd_keras.teachers import options as options_lib
from kd_keras.utils import digests

_SUFFIXES = (".keras", *keras_contents.LEGACY_SUFFIXES)


def can_load(path):
    return path.suffix in _SUFFIXES and path.is_file()


def load(path, threads=None):
    from kd_keras.teachers import teacher

    teacher.set_threads(threads)
    loaded = load_teacher(
        path, options_lib.TeacherOptions(outputs=teacher.AS_THE_LAYERS_TELL)
    )
    return teacher.classifier_of(loaded, kind=KIND.name)


def load_teacher(path, options):
    from kd_keras.teachers import keras_network

    with kind.errors_of_loading(path):
        return keras_network.teacher_of(
            load_model(path), path=str(path), options=options
        )


def weight_arrays(path):
    with kind.errors_of_loading(path):
        for _, array in keras_contents.named_weights(path):
            yield array


def graph(path):
    with kind.errors_of_loading(path):
        weights = [
            (name, digests.sha256_of_arrays(array))
            for name, array in keras_contents.named_weights(path)
            if not name.startswith("optimizer/")
        ]
        config = keras_contents.config(path)
        return digests.sha256_of_text(
            f"{architecture.digest(config)} {sorted(weights)}"
        )


def network_weights(path):
    with kind.errors_of_loading(path):
        return load_model(path).get_weights()


def load_model(path):
    """Loads a Keras model from a file, in safe mode, uncompiled.

    Raises:
        ValueError: if it has classes that are not known, or Python code.
    """
    import keras

    keras_contents.check_size(path)
    # A legacy file may hold weights alone.
    keras_contents.config(path)
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:
        raise _reason(path, error) from error


def _reason(path, error):
    """The error of a file that cannot be loaded, with its remedy."""
    text = str(error)
    if "safe_mode" in text or "Lambda" in text:
        return kind.Unusable(
            "a Keras file must hold no Python code: give the layer a "
            "registered class of its own instead of keras.layers.Lambda, "
            f"or export a SavedModel. Received: {path}"
        )
    version = keras_contents.keras_version(path)
    if version.startswith("2."):
        return kind.Unusable(
            "a Keras file must have layers that Keras 3 can read. Received: "
            f"{path} of Keras {version}; with the package tf_keras, python -c "
            f"\"import tf_keras; tf_keras.models.load_model('{path}').export("
            "'DIR')\" makes a SavedModel of it, which can be read"
        )
    unknown = re.search(r"Could not locate \w+ '([^']+)'", text)
    unknown = unknown or re.search(r"Unknown \w+: '([^']+)'", text)
    if unknown:
        return kind.Unusable(
            "own classes of a Keras file must be registered by "
            "keras.saving.register_keras_serializable in a module that is "
            "imported (--import=MODULE on the command line). Received: "
            f"{path} with the unknown {unknown[1]!r}"
        )
    return error


KIND = kind.TeacherKind(
    name="keras",
    title="Keras",
    expected=".h5 file, .keras file",
    can_load=can_load,
    load=load,
    load_teacher=load_teacher,
    weight_arrays=weight_arrays,
    graph=graph,
    network_weights=network_weights,
    is_graph=True,
)

"""Keras networks in a `.keras` file, run by TensorFlow."""

import contextlib
import io
import json
import re
import zipfile

from kd_keras.teachers import architecture, kind
from kd_keras.teachers import options as options_lib
from kd_keras.utils import archives, digests


def can_load(path):
    return path.suffix == ".keras" and path.is_file()


def load(path, threads=None):
    from kd_keras.teachers import teacher

    teacher.set_threads(threads)
    loaded = load_teacher(
        path, options_lib.TeacherOptions(outputs=teacher.AS_THE_LAYERS_TELL)
    )
    return teacher.classifier_of(loaded, kind=KIND.name)


def load_teacher(path, options):
    from kd_keras.models import activations, first_layer, interface
    from kd_keras.teachers import teacher

    with kind.errors_of_loading(path):
        model = load_model(path)
        model.trainable = False
        outputs = options.outputs
        general = (*options_lib.MEANINGS, teacher.AS_THE_LAYERS_TELL)
        choice = {
            "output": None if outputs in general else outputs,
            "default": "logits" if outputs in general else outputs,
            "role": "teacher",
            "option": "outputs",
        }
        image_shape = interface.input_shape(model)
        if not isinstance(image_shape, tuple):
            raise kind.Unusable(
                "a teacher must take one input, the images. Received: "
                f"{path} with {image_shape}"
            )
        with _naming(path):
            shape = interface.output_shape(model, **choice)
            meaning = teacher.meaning(
                outputs, activations.of_model(model), shape[-1]
            )

        def logits(images):
            result = model(images, training=False)
            result = interface.logits_of(model, result, **choice)
            return teacher.as_logits(result, meaning)

        return teacher.Teacher(
            logits,
            path=str(path),
            image_shape=image_shape[1:],
            num_classes=shape[-1],
            outputs_activation=teacher.activation_of(meaning, shape[-1]),
            image_spec=first_layer.expected_images(model),
        )


def weight_arrays(path):
    for _, array in _named_weights(path):
        yield array


def graph(path):
    with kind.errors_of_loading(path):
        weights = [
            (name, digests.sha256_of_arrays(array))
            for name, array in _named_weights(path)
            if not name.startswith("optimizer/")
        ]
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        return digests.sha256_of_text(
            f"{architecture.digest(config)} {sorted(weights)}"
        )


def _named_weights(path):
    """Yields the name in the file and the array of each weight."""
    import h5py

    with kind.errors_of_loading(path):
        _check_size(path)
        with zipfile.ZipFile(path) as archive:
            weights = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(weights) as file:
            names = []
            file.visit(names.append)
            for name in names:
                # The states of dropout's random generators are no weights.
                if (
                    isinstance(file[name], h5py.Dataset)
                    and "seed_generator" not in name
                ):
                    yield name, file[name][()]


def network_weights(path):
    with kind.errors_of_loading(path):
        return load_model(path).get_weights()


def load_model(path):
    """Loads a Keras model from a `.keras` file, in safe mode, uncompiled.

    Raises:
        ValueError: if it has classes that are not known, or Python code.
    """
    import keras

    _check_size(path)
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:
        text = str(error)
        unknown = re.search(r"Could not locate \w+ '([^']+)'", text)
        if unknown:
            raise kind.Unusable(
                "own classes of a .keras file must be registered by "
                "keras.saving.register_keras_serializable in a module that is "
                "imported (--import=MODULE on the command line). Received: "
                f"{path} with the unknown {unknown[1]!r}"
            ) from error
        if "safe_mode" in text or "Lambda" in text:
            raise kind.Unusable(
                "a .keras file must hold no Python code: give the layer a "
                "registered class of its own instead of keras.layers.Lambda, "
                f"or export a SavedModel. Received: {path}"
            ) from error
        raise


@contextlib.contextmanager
def _naming(path):
    """Adds the file's name to errors about a model's outputs."""
    try:
        yield
    except ValueError as error:
        raise kind.Unusable(f"{error}, in {path}") from None


def _check_size(path):
    """Raises an error if a small file would take a large memory."""
    import h5py

    try:
        archives.check_zip(path)
        with zipfile.ZipFile(path) as archive:
            weights = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(weights) as file:
            sizes = []
            # Arrays that are not stored, but filled with zeros when read.
            file.visititems(
                lambda _, item: sizes.append(getattr(item, "nbytes", 0))
            )
        archives.check_expansion(path, sum(sizes))
    except ValueError as error:
        raise kind.Unusable(str(error)) from error


KIND = kind.TeacherKind(
    name="keras",
    title="Keras",
    expected=".keras file",
    can_load=can_load,
    load=load,
    load_teacher=load_teacher,
    weight_arrays=weight_arrays,
    graph=graph,
    network_weights=network_weights,
)

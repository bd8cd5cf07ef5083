"""Keras networks in a `.keras` file, run by TensorFlow."""

import io
import json
import zipfile

from kd_keras.teachers import architecture, kind
from kd_keras.utils import archives, digests


def can_load(path):
    return path.suffix == ".keras" and path.is_file()


def load(path, threads=None):
    from kd_keras.teachers import teacher

    teacher.set_threads(threads)
    return teacher.classifier_of(load_teacher(path, "logits"), kind=KIND.name)


def load_teacher(path, outputs):
    import keras

    from kd_keras.teachers import teacher

    with kind.errors_of_loading(path):
        if outputs not in teacher.OUTPUTS:
            raise kind.Unusable(
                "outputs must be 'logits' or 'probabilities' for a .keras "
                f"file. Received: {outputs!r}"
            )
        _check_size(path)
        model = keras.models.load_model(path, compile=False)
        model.trainable = False

        def logits(images):
            result = model(images, training=False)
            return teacher.as_logits(result, outputs)

        return teacher.Teacher(
            logits,
            path=str(path),
            image_shape=tuple(model.input_shape[1:]),
            num_classes=model.output_shape[-1],
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
    import keras

    with kind.errors_of_loading(path):
        _check_size(path)
        return keras.models.load_model(path, compile=False).get_weights()


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

"""Loads model files of every kind, as classifiers or as teachers."""

import os

from kd_keras.teachers import (
    c_array,
    copies,
    keras_applications,
    keras_file,
    keras_hub,
    litert,
    onnx,
    probe,
    python_function,
    saved_model,
    torch_export,
    torch_function,
    torch_script,
    trained_on,
)
from kd_keras.teachers.kind import TeacherKind
from kd_keras.teachers.options import TeacherOptions
from kd_keras.utils import manifests

_PROBE = (probe.RECORD, probe.HEAD)
# Files and directories of a SavedModel, besides records.
_SAVED_MODEL = ("saved_model.pb", "fingerprint.pb", "variables", "assets")
# Suffixes of files of predictions, which teach from a store.
_PREDICTIONS = (".npy", ".npz", ".parquet")
KINDS = (
    saved_model.KIND,
    keras_hub.KIND,
    keras_file.KIND,
    litert.KIND,
    onnx.KIND,
    probe.KIND,
    torch_function.KIND,
    torch_export.KIND,
    torch_script.KIND,
    c_array.KIND,
    keras_applications.KIND,
    # The last one, since other kinds have names of this form, too.
    python_function.KIND,
)


def load_classifier(path, *, threads=None):
    """Loads a model to be run on arrays, in the runtime of its kind.

    Args:
        path: str or path of a SavedModel directory, of a `.keras`, `.h5`,
            `.tflite`, `.onnx`, `.pt2`, `.pt` or `.torchscript` file, or of a
            `.h` file that `kd_keras.export` wrote; also at gs://, s3:// or
            az://.
        threads: int, threads of the runtime. By default the runtime decides,
            except that LiteRT uses all cores instead of one. TensorFlow
            accepts a number only before its first operation.

    Returns:
        `Classifier`.

    Raises:
        FileNotFoundError: if nothing exists at `path`.
        ValueError: if the kind is unknown, its package is not installed, or
            the file is damaged or not a classifier of images.
    """
    path = copies.local(path)
    kind = find_kind(path)
    check_whole(path)
    classifier = kind.load(path, threads)
    shape, num_classes = classifier.image_shape, classifier.num_classes
    if len(shape) != 3 or not num_classes:
        raise ValueError(
            "a classifier must take images (batch, height, width, channels) "
            "and return logits (batch, num_classes). Received: "
            f"{path} with image shape {shape}, {num_classes} classes"
        )
    classifier.image_spec = trained_on.images(path) or classifier.image_spec
    classifier.class_names = trained_on.class_names(path)
    return classifier


def load_teacher(
    path,
    *,
    outputs="logits",
    signature="",
    preprocess="none",
    image_size=0,
    resize="bilinear",
    classes="",
    precision="float32",
    features=(),
):
    """Loads a frozen teacher of any kind.

    Images of 0 to 255 are resized to the model's size, preprocessed and
    predicted. The model's classes are mapped to the data's classes.

    Args:
        path: str or path of a model, exported by this project or not, also
            at gs://, s3:// or az://, or the name of one; `KINDS` is the table
            of kinds.
        outputs: meaning of the network's output: `logits`; `probabilities`
            for a network that ends in softmax, whose logarithms are used as
            logits, or in one sigmoid; `label_probabilities` for one that
            ends in a sigmoid for each label, whose logarithms of `p / (1 -
            p)` are used; `features` for a model that is no classifier, whose
            output is an embedding; or the name of the output that holds the
            logits, of a `.keras` file also its index. A single output, or
            one named `logits`, need not be named.
        signature: str, a SavedModel's signature; empty for
            `serving_default`, or the only one.
        preprocess: str, what is done to the images before the model: `none`,
            `0-1`, `tf`, `torch`, `caffe` or `module:function`.
        image_size: int, or `(height, width)`, the size that the model takes:
            the teacher then takes images of any size and resizes them. 0 for
            images of the model's size.
        resize: str, how the images are resized: `bilinear`, `bicubic` or
            `plain_bilinear` (without antialiasing).
        classes: str, the model's classes that are taught, in the order of the
            data's: indices or names such as `0,3` or `cat,dog+wolf`, or a
            `.json` file; empty for all.
        precision: str, `float32`; or `bfloat16` for a network of TensorFlow
            or Keras on a processor that has instructions for it, several
            times faster and less exact.
        features: tuple of str, the inner outputs that the teacher returns:
            the names of layers or outputs, empty text for the last pooled
            features.

    Returns:
        `Teacher`: images `(batch, height, width, channels)` of any dtype, ->
        float32 logits `(batch, num_classes)`.

    Raises:
        FileNotFoundError: if nothing exists at `path`.
        ValueError: if `path` is no path or name, it is not such a model, is
            damaged, has several outputs and none is named `outputs`, returns
            probabilities for logits, or takes images of another size than
            `image_size`.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(
            "path must be the path or the name of one model; load several one "
            "by one, and combine them by kd_keras.teachers.ensemble.combine. "
            f"Received: {path!r}"
        )
    options = TeacherOptions(
        outputs=outputs,
        signature=signature,
        preprocess=preprocess,
        image_size=image_size,
        resize=resize,
        classes=classes,
        precision=precision,
        features=tuple(features),
    )
    return load(path, options)


def load(path, options, *, field="image_size"):
    """Loads a frozen teacher of any kind.

    Args:
        path: as `load_teacher`.
        options: `TeacherOptions`.
        field: str, the option that gave the image size, for errors.

    Returns:
        `Teacher`; see `load_teacher`, also for the errors.
    """
    kind, path = find_teacher(path)
    check_signature(kind, path, options.signature)
    check_whole(path)
    teacher = kind.load_teacher(path, options)
    teacher.image_spec = trained_on.images(path) or teacher.image_spec
    teacher.class_names = trained_on.class_names(path) or teacher.class_names
    # Imported here, since they need TensorFlow.
    from kd_keras.teachers import trial, wrapping

    if teacher.has_logits:
        trial.check_outputs(teacher)
    return wrapping.wrap(teacher, options, kind, field=field)


def network_weights(path):
    """Reads the weights of a network, to initialise another one with.

    Args:
        path: str or path of a SavedModel that this project exported, or of
            any `.keras` file.

    Returns:
        List of arrays, as `get_weights` of the Keras model returns them.

    Raises:
        FileNotFoundError, ValueError: as `load_teacher`, or if a SavedModel
            of another program has its variables in an unknown order.
    """
    kind, path = find_teacher(path)
    check_whole(path)
    if kind.network_weights is None:
        raise ValueError(
            "weights must be of a .keras file or of a SavedModel that this "
            f"project exported. Received: {path}"
        )
    return kind.network_weights(path)


def check_signature(kind, path, signature):
    """Raises a ValueError for a signature of a model that has none.

    Args:
        kind: `TeacherKind` of the model.
        path: path or name of the model.
        signature: str, empty if none is named.
    """
    if signature and not kind.has_signatures:
        raise ValueError(
            "signature must be empty for a teacher that is no SavedModel "
            f"(teacher.signature). Received: {signature!r} for {path}"
        )


def check_whole(path):
    """Raises a ValueError if a model of this program is damaged.

    Its files are compared with the SHA-256 that were recorded beside them; a
    model without such a record passes.

    Args:
        path: str or path of a SavedModel or a file.
    """
    path = copies.local(path)
    directory = path if path.is_dir() else path.parent

    def matters(name):
        # The records hold the type and the range of its images.
        if name in ("report.json", "exports.json"):
            return (directory / name).exists()
        if path.is_dir():
            return name.split("/")[0] in (*_SAVED_MODEL, *_PROBE)
        return name == path.name

    manifests.check(
        directory,
        matters,
        what="a model",
        remedy="write it again with the command that wrote it, or remove "
        f"{directory / manifests.NAME} if it was changed on purpose",
    )


def size(path):
    """Bytes of a model: its file, a SavedModel's files, or a C array."""
    path = copies.local(path)
    return find_kind(path).size(path)


def find_kind(path):
    """Returns the `Kind` of a model file.

    Raises:
        FileNotFoundError, ValueError: as `load_classifier`.
    """
    kinds = [kind for kind in KINDS if kind.load]
    expected = [kind.expected for kind in kinds]
    name, path = str(path), copies.local(path)
    hint = ""
    if any(kind.is_name(name) for kind in _teacher_kinds()):
        hint = (
            "; it names a model that is no file: measure it in Python, by "
            f"evaluate_model(load_teacher({name!r}), ...)"
        )
    return _find(path, kinds, f"a model must be a {_either(expected)}", hint)


def find_teacher(path):
    """Finds the kind of a teacher.

    Args:
        path: str or path of a model file, or the name of a model.

    Returns:
        `(TeacherKind, reference)`; see `TeacherKind` about references.

    Raises:
        FileNotFoundError, ValueError: as `load_teacher`.
    """
    kinds = _teacher_kinds()
    name, path = str(path), copies.local(path)
    for kind in kinds:
        if not path.exists() and kind.is_name(name):
            return kind, name
    if path.suffix in _PREDICTIONS and path.exists():
        raise ValueError(
            "a teacher must be a model; predictions are imported into a store "
            f"by kd-keras label --from={path}. Received: {path}"
        )
    expected = [
        text
        for kind in kinds
        for text in (kind.expected, kind.expected_name)
        if text
    ]
    hint = ""
    if "," in name:
        hint = (
            "; load several one by one, and combine them by "
            "kd_keras.teachers.ensemble.combine"
        )
    expected = f"a teacher must be a {_either(expected)}"
    return _find(path, kinds, expected, hint), path


def _teacher_kinds():
    return [kind for kind in KINDS if isinstance(kind, TeacherKind)]


def _either(texts):
    *first, last = texts
    return f"{', '.join(first)} or {last}"


def _find(path, kinds, expected, hint):
    if not path.exists():
        raise FileNotFoundError(
            f"{expected}. Received: {path}, which does not exist{hint}"
        )
    for kind in kinds:
        if kind.can_load(path):
            return kind
    raise ValueError(f"{expected}. Received: {path}")

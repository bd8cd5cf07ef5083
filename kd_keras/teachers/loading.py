"""Teachers: loaded, frozen, and turned into images -> logits."""

import contextlib
import functools
import hashlib
import io
import math
import pathlib
import zipfile

import h5py
import keras
import numpy as np
import tensorflow as tf

from kd_keras import config

OUTPUTS = ("logits", "probabilities")


class Teacher:
    """A frozen teacher, called as `teacher(images)` -> float32 logits.

    A plain object and not a layer, so that no model that holds it ever
    tracks, saves or trains its variables.

    Attributes:
        path: str, where it was loaded from.
        image_shape: `(height, width, channels)`, None where it takes any.
        num_classes: int, or None if its output does not say.
    """

    def __init__(self, logits, *, path, image_shape, num_classes):
        self._logits = logits
        self.path = path
        self.image_shape = image_shape
        self.num_classes = num_classes

    def __call__(self, images):
        return self._logits(images)


def fingerprint(path):
    """SHA-256 of a model's weights, whatever its path: 64 hex digits.

    Reads the file alone, without making the model. A SavedModel and a
    `.keras` file of the same weights have the same one.

    Args:
        path: str or path of a SavedModel or `.keras` file.

    Raises:
        FileNotFoundError, ValueError: as `load_teacher`.
    """
    path = _existing(path)
    with _loading(path):
        if path.suffix == ".keras":
            arrays = _keras_weights(path)
        else:
            arrays = _saved_model_weights(path)
        # By what they are, not by their names or order, which differ.
        return hashlib.sha256("".join(sorted(arrays)).encode()).hexdigest()


def network_weights(path):
    """The weights of a network, to begin another of its architecture with.

    Args:
        path: str or path of a SavedModel that this project exported, or of
            any `.keras` file.

    Returns:
        List of arrays, as of `get_weights` of the Keras model.

    Raises:
        FileNotFoundError, ValueError: as `load_teacher`, or if a SavedModel
            comes from elsewhere, and so has its variables in no known order.
    """
    path = _existing(path)
    with _loading(path):
        if path.suffix == ".keras":
            return keras.models.load_model(path, compile=False).get_weights()
        reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
        names = [n for n in reader.get_variable_to_shape_map() if n[0] != "_"]
        ordered = [
            f"weights/{i}/.ATTRIBUTES/VARIABLE_VALUE" for i in range(len(names))
        ]
        if set(names) != set(ordered):
            raise _Unusable(
                "the weights of a SavedModel must be as this project exports "
                f"them (or take a .keras file). Received: {path}"
            )
        return [reader.get_tensor(name) for name in ordered]


def load_teacher(path, *, outputs="logits"):
    """Loads a frozen teacher from a SavedModel directory or `.keras` file.

    Args:
        path: str or path of either, exported by this project or by anybody.
        outputs: what the network returns: `logits`; `probabilities`, for one
            that ends in softmax (their logarithm is a valid logit, up to a
            shift that softmax does not see); or the name of the SavedModel's
            output that holds the logits. A single output need not be named.

    Returns:
        `Teacher`: images `(batch, height, width, channels)`, 0 to 255 of any
        dtype, -> float32 logits `(batch, num_classes)`.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        ValueError: if it is neither, is damaged, or has several outputs and
            none of the name given.
    """
    path = _existing(path)
    with _loading(path):
        if path.suffix == ".keras":
            return _from_keras(path, outputs)
        return _from_saved_model(path, outputs)


def combine(members, *, weights=(), mean="arithmetic"):
    """Several teachers as one: the mean of their predictions.

    The logits are the logarithm of the weighted mean of the members'
    probabilities at T = 1, up to a shift for the geometric mean. They are
    softened like any teacher's, so the gradient has one teacher's size.

    Args:
        members: list of `Teacher`, of one number of classes.
        weights: floats > 0, one for each; equal ones by default.
        mean: `arithmetic` (the mean of probabilities) or `geometric` (of
            their logarithms, which is that of the logits).

    Returns:
        `Teacher`.

    Raises:
        ValueError: if the members do not fit together, or not the weights.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 1
    """
    if mean not in config.MEANS:
        raise ValueError(
            f"mean must be one of {', '.join(config.MEANS)}. Received: {mean!r}"
        )
    shares = _shares(weights, len(members))
    for field in ("num_classes", "image_shape"):
        values = [getattr(member, field) for member in members]
        if len(set(values)) > 1:
            raise ValueError(
                f"teachers that are combined must have the same {field}. "
                f"Received: {values}"
            )

    def logits(images):
        log_probs = [tf.nn.log_softmax(member(images)) for member in members]
        if mean == "geometric":
            return tf.add_n([w * x for w, x in zip(shares, log_probs)])
        return tf.reduce_logsumexp(
            [math.log(w) + x for w, x in zip(shares, log_probs)], axis=0
        )

    return Teacher(
        logits,
        path=", ".join(member.path for member in members),
        image_shape=members[0].image_shape,
        num_classes=members[0].num_classes,
    )


class TeacherFiles:
    """The files of a teacher, or of several: known before they are loaded.

    Args:
        paths: list of paths; see `load_teacher`.
        outputs: str; see `load_teacher`.
        weights: tuple of floats; see `combine`.
        mean: str; see `combine`.

    Raises:
        FileNotFoundError, ValueError: as `load_teacher`.
    """

    def __init__(
        self, paths, *, outputs="logits", weights=(), mean="arithmetic"
    ):
        _shares(weights, len(paths))
        self.paths = [str(path) for path in paths]
        self._outputs = outputs
        self._weights = weights
        self._mean = mean
        # Which teacher it is, as JSON values.
        self.record = {
            "fingerprint": " ".join(fingerprint(path) for path in paths),
            "outputs": outputs,
        }
        if len(paths) > 1:
            self.record |= {"mean": mean, "weights": list(weights)}

    @functools.cached_property
    def teacher(self):
        """The `Teacher`, loaded when it is first asked for."""
        members = [
            load_teacher(path, outputs=self._outputs) for path in self.paths
        ]
        if len(members) == 1:
            return members[0]
        return combine(members, weights=self._weights, mean=self._mean)


def logits_function(teacher):
    """A plain function images -> logits, that changes nothing.

    Args:
        teacher: a Keras model, a loaded SavedModel, a path of one or of a
            `.keras` file, or any callable images -> logits.

    Returns:
        `(function, num_classes)`, the latter None where it is not known
        before a call.

    Raises:
        ValueError: if it is none of these.
    """
    if isinstance(teacher, (str, pathlib.Path)):
        teacher = load_teacher(teacher)
    if isinstance(teacher, Teacher):
        return teacher.__call__, teacher.num_classes
    if isinstance(teacher, keras.Model):
        num_classes = None
        if teacher.built and not isinstance(teacher.output_shape, list):
            num_classes = teacher.output_shape[-1]
        # The lambda hides the model from Keras's and TensorFlow's tracking.
        return lambda x: teacher(x, training=False), num_classes
    if hasattr(teacher, "signatures"):
        loaded = _saved_model_teacher(teacher, "a loaded SavedModel", "logits")
        return loaded.__call__, loaded.num_classes
    if callable(teacher):
        return lambda x: teacher(x), None
    raise ValueError(
        "teacher must be a Keras model, a SavedModel, a path, a callable or "
        f"None. Received: {teacher!r}"
    )


def _shares(weights, count):
    """The weights of `count` teachers, summing to 1."""
    weights = list(weights) or [1.0] * count
    if len(weights) != count or not all(weight > 0 for weight in weights):
        raise ValueError(
            "there must be a weight > 0 for each teacher. Received: "
            f"{weights} for {count} teachers"
        )
    return [weight / sum(weights) for weight in weights]


class _Unusable(ValueError):
    """A model that loads but cannot serve as it was declared."""


def _existing(path):
    """The path of a model that is there, and of a kind that can be read."""
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(
            "a teacher must be a SavedModel directory or a .keras file. "
            f"Received: {path}, which does not exist"
        )
    if path.suffix != ".keras" and not (path / "saved_model.pb").exists():
        raise ValueError(
            "a teacher must be a SavedModel directory (with saved_model.pb) "
            f"or a .keras file. Received: {path}"
        )
    return path


@contextlib.contextmanager
def _loading(path):
    """Makes one ValueError of whatever a loader raises on damaged bytes."""
    try:
        yield
    except _Unusable as error:
        raise ValueError(str(error)) from error
    except Exception as error:
        first_line = (str(error).strip().splitlines() or [repr(error)])[0]
        raise ValueError(
            f"a teacher must be a whole model. Received: {path}, which "
            f"cannot be loaded ({first_line})"
        ) from error


def _array_digest(array):
    array = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{array.shape}{array.dtype}".encode())
    digest.update(array)
    return digest.hexdigest()


def _keras_weights(path):
    digests = []

    def visit(name, item):
        # The state of dropout's generators is no weight.
        if isinstance(item, h5py.Dataset) and "seed_generator" not in name:
            digests.append(_array_digest(item[()]))

    with zipfile.ZipFile(path) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        file.visititems(visit)
    return digests


def _saved_model_weights(path):
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    return [
        _array_digest(reader.get_tensor(name))
        for name in reader.get_variable_to_shape_map()
        if not name.startswith("_CHECKPOINTABLE_OBJECT_GRAPH")
    ]


def _from_keras(path, outputs):
    if outputs not in OUTPUTS:
        raise _Unusable(
            "outputs must be 'logits' or 'probabilities' for a .keras file. "
            f"Received: {outputs!r}"
        )
    model = keras.models.load_model(path, compile=False)
    model.trainable = False

    def logits(images):
        result = model(images, training=False)
        return _as_logits(result, outputs)

    return Teacher(
        logits,
        path=str(path),
        image_shape=tuple(model.input_shape[1:]),
        num_classes=model.output_shape[-1],
    )


def _from_saved_model(path, outputs):
    return _saved_model_teacher(
        tf.saved_model.load(str(path)), str(path), outputs
    )


def _saved_model_teacher(loaded, path, outputs):
    signatures = loaded.signatures
    name = "serving_default"
    if name not in signatures:
        if len(signatures) != 1:
            raise _Unusable(
                "a SavedModel must have the signature serving_default, or "
                f"one alone. Received: {path} with {sorted(signatures)}"
            )
        name = next(iter(signatures))
    signature = signatures[name]
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise _Unusable(
            "a teacher must take one input, the images. Received: "
            f"{path} with {sorted(inputs)}"
        )
    ((input_name, spec),) = inputs.items()
    output_name = _output_name(signature.structured_outputs, outputs, path)

    def logits(images):
        if spec.dtype.is_integer and not images.dtype.is_integer:
            images = tf.saturate_cast(tf.round(images), spec.dtype)
        result = signature(**{input_name: tf.cast(images, spec.dtype)})
        return _as_logits(result[output_name], outputs)

    # A SavedModel's variables live only as long as the object does.
    logits.keep_alive = loaded
    output_shape = signature.structured_outputs[output_name].shape
    return Teacher(
        logits,
        path=path,
        image_shape=tuple(spec.shape[1:]) if spec.shape.rank else (),
        num_classes=output_shape[-1] if output_shape.rank else None,
    )


def _output_name(structured_outputs, outputs, path):
    names = sorted(structured_outputs)
    if outputs in names:
        return outputs
    if outputs in OUTPUTS and len(names) == 1:
        return names[0]
    raise _Unusable(
        "outputs must name the output that holds the logits. Received: "
        f"{outputs!r}; {path} has {', '.join(names)}"
    )


def _as_logits(result, outputs):
    result = tf.cast(result, tf.float32)
    if outputs == "probabilities":
        # A probability that underflowed to 0 must not become -inf.
        return tf.math.log(tf.maximum(result, np.finfo("float32").tiny))
    return result

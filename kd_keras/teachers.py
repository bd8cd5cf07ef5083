"""Teachers: loaded, frozen, and turned into images -> logits."""

import hashlib
import pathlib

import keras
import numpy as np
import tensorflow as tf

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

    def __init__(self, logits, *, path, image_shape, num_classes, variables):
        self._logits = logits
        self._variables = variables
        self.path = path
        self.image_shape = image_shape
        self.num_classes = num_classes

    def __call__(self, images):
        return self._logits(images)

    def fingerprint(self):
        """SHA-256 of the weights, whatever the path: 64 hex digits."""
        digest = hashlib.sha256()
        for variable in self._variables:
            array = np.asarray(variable)
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


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
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(
            "a teacher must be a SavedModel directory or a .keras file. "
            f"Received: {path}, which does not exist"
        )
    try:
        if path.suffix == ".keras":
            return _from_keras(path, outputs)
        if (path / "saved_model.pb").exists():
            return _from_saved_model(path, outputs)
    except _Unusable as error:
        raise ValueError(str(error)) from error
    except Exception as error:
        # Whatever a loader raises on bytes that it did not write.
        first_line = (str(error).strip().splitlines() or [repr(error)])[0]
        raise ValueError(
            f"a teacher must be a whole model. Received: {path}, which "
            f"cannot be loaded ({first_line})"
        ) from error
    raise ValueError(
        "a teacher must be a SavedModel directory (with saved_model.pb) or a "
        f".keras file. Received: {path}"
    )


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


class _Unusable(ValueError):
    """A model that loads but cannot serve as it was declared."""


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
        variables=model.variables,
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
        variables=signature.variables,
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

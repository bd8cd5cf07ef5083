"""The model that is exported, in the form that converters read."""

import os
import pathlib
import tempfile

import tensorflow as tf

from kd_keras.deployment import saved_model
from kd_keras.evaluation import outputs
from kd_keras.models import image_spec as image_specs
from kd_keras.teachers import copies, keras_file, loading, preprocessing
from kd_keras.utils import keras_internals


class Source:
    """A SavedModel or `.keras` file, ready to be converted.

    Args:
        path: str or path of a `.keras` file or of a SavedModel with a
            signature that takes float images: `float_images`, as SavedModels
            of this project have, or `serving_default`.
        image_spec: `ImageSpec` of the images.
        preprocess: str, the preprocessing of images from 0 to 255 before the
            model, as `preprocessing.find` takes it; exported with the model.
        image_shape: `(height, width, channels)` of the images of the data.

    Attributes:
        name: str, as `name_of` returns it.
        image_shape: `(height, width, channels)` of the model's images; of a
            size that the model leaves open, the data's.
        reference: path of the model that files are compared with: the model
            itself or a copy, which includes the preprocessing, and computes
            in float32 where a `.keras` file has mixed precision.
        rounds: bool, whether the model rounds its activations itself, because
            it was trained with `student.quantize`.

    Raises:
        FileNotFoundError, ValueError: if it is neither or has no such
            signature.
    """

    def __init__(
        self,
        path,
        image_spec=image_specs.UINT8,
        preprocess=preprocessing.NONE,
        image_shape=(None, None, None),
    ):
        check(path)
        path = copies.local(path)
        self.name = name_of(path)
        # Kept, because a loaded SavedModel may read its files later.
        self._scratch = tempfile.TemporaryDirectory()
        directory, self.reference = _SAVED_MODEL_OF[
            loading.find_kind(path).name
        ](path, pathlib.Path(self._scratch.name))
        self._kept = tf.saved_model.load(str(directory))
        self._network, shape, used = _float_signature(self._kept, path)
        self._open_shape = tuple(shape[1:])
        self.image_shape = tuple(
            size or given for size, given in zip(self._open_shape, image_shape)
        )
        self.rounds = any(name.startswith("FakeQuant") for name in used)
        self.image_spec = image_spec
        if preprocess != preprocessing.NONE:
            self._prepare(preprocessing.find(preprocess))

    def _prepare(self, before):
        """Makes the preprocessing a part of the network."""
        network = self._network
        self._network = lambda images: network(before(images))
        self.reference = pathlib.Path(self._scratch.name) / "prepared"
        self._save(str(self.reference), tf.float32, self._open_shape)

    def check_logits(self, images):
        """Raises a ValueError if the model returns probabilities.

        Args:
            images: array `(n, height, width, channels)`.
        """
        values = self._network(tf.cast(images, tf.float32)).numpy()
        if outputs.are_probabilities(values):
            raise ValueError(
                "a model that is exported must return logits, not "
                f"probabilities. Received: {self.name}, whose outputs sum to "
                "1; leave its softmax out"
            )

    def saved(self, dtype, *, any_size=False):
        """Writes a temporary SavedModel, images of a dtype -> logits.

        Args:
            dtype: of the images.
            any_size: bool, whether a size that the model leaves open stays
                open. LiteRT's converter needs all sizes.

        Returns:
            `tempfile.TemporaryDirectory`, a context manager of its path.
        """
        directory = tempfile.TemporaryDirectory()
        shape = self._open_shape if any_size else self.image_shape
        self._save(directory.name, dtype, shape)
        return directory

    def _save(self, directory, dtype, shape):
        spec = tf.TensorSpec((None, *shape), dtype, "images")
        module = tf.Module()
        module.kept = self._kept

        @tf.function(input_signature=[spec])
        def serve(images):
            return {"logits": self._network(tf.cast(images, tf.float32))}

        tf.saved_model.save(
            module, directory, signatures={"serving_default": serve}
        )


def name_of(path):
    """The name of a model: of its directory, or of its file without `.keras`.

    Args:
        path: str or path, also `.`.
    """
    return os.path.basename(os.path.abspath(path)).removesuffix(".keras")


def check(path):
    """Raises a ValueError if a model is of a kind that is not exported."""
    if loading.find_kind(path).name not in _SAVED_MODEL_OF:
        raise ValueError(
            "a model that is exported must be a SavedModel or .keras file. "
            f"Received: {path}"
        )


def _from_keras_file(path, scratch):
    # With a Keras model among its objects, the converter to LiteRT makes a
    # file that returns NaN; with a SavedModel of it, it does not.
    network = keras_file.load_model(path)
    is_mixed = _set_float32(network)
    saved_model.export_saved_model(network, scratch / "model")
    return scratch / "model", scratch / "model" if is_mixed else path


def _set_float32(network):
    """Lets layers of mixed precision compute in float32, as converters need.

    Returns:
        bool, whether there are any.
    """
    mixed = [
        layer
        for layer in keras_internals.all_layers(network)
        if layer.compute_dtype != layer.variable_dtype
        # Quantized layers compute in the type that they must.
        and getattr(layer, "quantization_mode", None) is None
    ]
    for layer in mixed:
        layer.dtype_policy = layer.variable_dtype
    return bool(mixed)


def _from_saved_model(path, scratch):
    return path, path


# Functions of a path and a scratch directory -> path of a SavedModel, and of
# the model to compare with, by kind.
_SAVED_MODEL_OF = {
    "saved_model": _from_saved_model,
    "keras": _from_keras_file,
}


def _float_signature(loaded, path):
    """Finds the function of float images.

    Returns:
        `(function, shape, operations)`: with the shape of the images, and the
        names of the function's operations.
    """
    for name in ("float_images", "serving_default"):
        if name in loaded.signatures:
            signature = loaded.signatures[name]
            ((key, spec),) = signature.structured_input_signature[1].items()
            if spec.dtype.is_floating:
                break
    else:
        raise ValueError(
            "a SavedModel that is converted must have a signature that takes "
            "float images: float_images or serving_default. Received: "
            f"{path} with {sorted(loaded.signatures)}; export it again"
        )
    outputs = sorted(signature.structured_outputs)
    output = "logits" if "logits" in outputs else outputs[0]
    used = saved_model.operations(signature.graph)
    return lambda images: signature(**{key: images})[output], spec.shape, used

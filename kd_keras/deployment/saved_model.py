"""Exports a trained network as a SavedModel for serving."""

import contextlib

import tensorflow as tf

from kd_keras.models import activations, batch_norm, inner_outputs, interface
from kd_keras.utils import files

# Functions from logits to probabilities.
_FUNCTIONS = {"softmax": tf.nn.softmax, "sigmoid": tf.sigmoid}


def export_saved_model(model, path, *, activation=None, dtype="uint8"):
    """Exports a network as a SavedModel that TensorFlow serves by itself.

    The signature `serving_default` takes `images`, `(batch, height, width,
    channels)` of a dtype, and returns float32 `logits` and `probabilities`
    `(batch, num_classes)`. `float_images` takes the same images as float32;
    the converter to int8 needs it. The SavedModel is written whole or not at
    all.

    Args:
        model: Keras model, images -> logits.
        path: str or path of the directory. A directory that this program
            wrote is replaced.
        activation: the function that turns logits into probabilities:
            `softmax`, or `sigmoid` for logits that are a yes or no each. By
            default `sigmoid` for one logit, else `softmax`.
        dtype: str, of the images: `uint8` if they are from 0 to 255, else
            `float32`.

    Raises:
        ValueError: if the directory holds files that this program did not
            write, or the model ends in an activation itself.
    """
    with files.replacing_directory(path) as new:
        write_saved_model(model, new, activation=activation, dtype=dtype)


def write_saved_model(
    model,
    directory,
    *,
    activation=None,
    dtype="uint8",
    has_logits=True,
    with_features=False,
):
    """Writes a SavedModel into a new directory; see `export_saved_model`.

    Args:
        model, activation, dtype: as `export_saved_model`.
        directory: path, as `path` there.
        has_logits: bool; False for a model images -> `features`, the output
            of its signatures.
        with_features: bool, whether the signatures also return the last
            pooled `features` of a classifier, if they are found. A student
            can match them then.

    Returns:
        List of str, the names of the outputs.
    """
    if has_logits:
        activations.check_logits(model, role="model that is exported")
    inner = _with_features(model, with_features)

    def serve(images):
        with batch_norm.fused(model):
            outputs, features = inner(tf.cast(images, tf.float32))
        if not has_logits:
            return {"features": tf.cast(outputs, tf.float32)}
        logits = tf.cast(interface.logits_of(model, outputs), tf.float32)
        chosen = activation or (
            "sigmoid" if logits.shape[-1] == 1 else "softmax"
        )
        served = {"logits": logits, "probabilities": _FUNCTIONS[chosen](logits)}
        if features:
            served["features"] = tf.cast(features[0], tf.float32)
        return served

    def signature(images_dtype):
        shape = (None, *interface.input_shape(model)[1:])
        spec = tf.TensorSpec(shape, images_dtype, "images")
        return tf.function(serve, input_signature=[spec])

    signatures = {
        "serving_default": signature(dtype).get_concrete_function(),
        "float_images": signature(tf.float32).get_concrete_function(),
    }
    # Not Keras's ExportArchive, which stores every variable twice.
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return sorted(signatures["serving_default"].structured_outputs)


def _with_features(model, wanted):
    """The model as `inner_outputs.WithFeatures`, of one feature or none."""
    if wanted:
        with contextlib.suppress(ValueError):  # several layers, or none
            return inner_outputs.with_features(model, [inner_outputs.LAST])
    return inner_outputs.with_features(model, [])


def write_function(function, directory, *, image_shape, dtype="uint8"):
    """Writes a function of images as a SavedModel, if TensorFlow can save it.

    Args:
        function: function of float32 images `(batch, *image_shape)` -> dict
            of tensors, the outputs of the signatures `serving_default` and
            `float_images`.
        directory: path of a new directory.
        image_shape: `(height, width, channels)`.
        dtype: str, as of `export_saved_model`.

    Returns:
        bool; False, with nothing written, if a part of the function runs in
        Python or in another runtime.
    """

    def signature(images_dtype):
        spec = tf.TensorSpec((None, *image_shape), images_dtype, "images")
        traced = tf.function(
            lambda images: function(tf.cast(images, tf.float32)),
            input_signature=[spec],
        )
        return traced.get_concrete_function()

    signatures = {
        "serving_default": signature(dtype),
        "float_images": signature(tf.float32),
    }
    used = operations(signatures["float_images"].graph)
    if any("PyFunc" in name for name in used):
        return False
    module = tf.Module()
    module.weights = list(signatures["float_images"].graph.variables)
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return True


def operations(graph):
    """Names of the operations of a graph and its functions: a set of str."""
    definition = graph.as_graph_def()
    nodes = [*definition.node]
    for called in definition.library.function:
        nodes += called.node_def
    return {node.op for node in nodes}

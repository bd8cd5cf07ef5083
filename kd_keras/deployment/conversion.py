"""A network in the formats of phones, web pages and microcontrollers.

All of them take pictures from 0 to 255 as uint8, the normalisation inside,
and return `logits`.
"""

import pathlib
import re
import tempfile

import keras
import numpy as np
import tensorflow as tf

from kd_keras.deployment import saved_model as exports
from kd_keras.teachers import c_array as c_array_kind
from kd_keras.utils import keras_internals, packages

_ONNX_OPSET = 17
_ARENA_STEP = 1024


class Source:
    """A SavedModel or `.keras` file, ready to be converted.

    Args:
        path: str or path; a SavedModel with a signature that takes float
            images (`float_images` of this project's, or `serving_default`).

    Raises:
        ValueError: if it is neither or has no such signature.
    """

    def __init__(self, path):
        path = pathlib.Path(path)
        if path.suffix == ".keras":
            # By way of a SavedModel: with a Keras model among its objects
            # the converter makes a file that returns NaN.
            self._directory = tempfile.TemporaryDirectory()
            network = keras.models.load_model(path, compile=False)
            path = pathlib.Path(self._directory.name) / "model"
            exports.export_saved_model(network, path)
        self._kept = tf.saved_model.load(str(path))
        self._network, shape = _float_signature(self._kept, path)
        self.image_shape = tuple(shape[1:])

    def litert(self):
        """Returns the bytes of a LiteRT file with float32 weights."""
        with self._saved(tf.uint8) as path:
            return tf.lite.TFLiteConverter.from_saved_model(path).convert()

    def litert_int8(self, images):
        """Returns the bytes of a LiteRT file that computes in integers alone.

        Weights are int8 for each channel, activations int8; the input is
        uint8, whose steps are those of the picture, and the output int8.

        Args:
            images: array `(n, *image_shape)`, 0 to 255, of training pictures,
                by which the ranges of the activations are set. No labels.
        """
        # A range that is the picture's: a step is 1, whatever was sampled.
        images = np.concatenate(
            [np.zeros_like(images[:1]), np.full_like(images[:1], 255), images]
        )
        with self._saved(tf.float32) as path:
            converter = tf.lite.TFLiteConverter.from_saved_model(path)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (
                {"images": image[None].astype("float32")} for image in images
            )
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.TFLITE_BUILTINS_INT8
            ]
            converter.inference_input_type = tf.uint8
            converter.inference_output_type = tf.int8
            return converter.convert()

    def onnx(self):
        """Returns the bytes of an ONNX file with float32 weights."""
        tf2onnx = packages.optional("tf2onnx")
        with self._saved(tf.uint8) as path:
            # Its variables live only as long as the object does.
            loaded = tf.saved_model.load(path)
            frozen = keras_internals.with_constants(
                loaded.signatures["serving_default"]
            )
        (source,), (target,) = frozen.inputs, frozen.outputs
        model, _ = tf2onnx.convert.from_graph_def(
            frozen.graph.as_graph_def(),
            input_names=[source.name],
            output_names=[target.name],
            opset=_ONNX_OPSET,
            tensors_to_rename={source.name: "images", target.name: "logits"},
        )
        return model.SerializeToString()

    def _saved(self, dtype):
        """A temporary SavedModel, images of a dtype -> logits."""
        spec = tf.TensorSpec((None, *self.image_shape), dtype, "images")
        module = tf.Module()
        module.kept = self._kept

        @tf.function(input_signature=[spec])
        def serve(images):
            return {"logits": self._network(tf.cast(images, tf.float32))}

        directory = tempfile.TemporaryDirectory()
        tf.saved_model.save(
            module, directory.name, signatures={"serving_default": serve}
        )
        return directory


def c_array(model, *, name):
    """Text of a C or C++ header with an int8 LiteRT model.

    Args:
        model: bytes of the LiteRT file.
        name: str, of the array; what is no letter or digit becomes `_`.

    Returns:
        str. Its hint of an arena is the smallest, to 1 KiB, that LiteRT for
        Microcontrollers runs the model in on this machine.
    """
    name = re.sub(r"\W", "_", name)
    arena_bytes = _smallest_arena(model)
    rows = [
        "  " + "".join(f"0x{byte:02x}," for byte in model[start : start + 16])
        for start in range(0, len(model), 16)
    ]
    text = f"""\
// A LiteRT model that computes in int8. Input: uint8, a picture from 0 to 255;
// output: int8 logits, whose scale and zero point the model holds.
#pragma once

// Measured with 64-bit pointers, to 1 KiB; kernels that are optimised for a
// processor may want more.
#define {name.upper()}_ARENA_BYTES {arena_bytes}
#define {name.upper()}_BYTES {len(model)}

#ifdef __cplusplus
alignas(16)
#else
_Alignas(16)
#endif
static const unsigned char {name}[{len(model)}] = {{
"""
    return text + "\n".join(rows) + "\n};\n"


def _float_signature(loaded, path):
    """A function of float images, and the shape that it takes."""
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
    return lambda images: signature(**{key: images})[output], spec.shape


def _smallest_arena(model):
    """By halving: the interpreter refuses what is too small."""
    low, high = 0, _ARENA_STEP
    while not _fits(model, high):
        low, high = high, 2 * high
    while high - low > _ARENA_STEP:
        middle = (low + high) // 2
        low, high = (low, middle) if _fits(model, middle) else (middle, high)
    return high


def _fits(model, arena_bytes):
    micro = c_array_kind.runtime()
    try:
        micro.Interpreter.from_bytes(model, arena_size=arena_bytes)
    except RuntimeError:
        return False
    return True

"""LiteRT files (TensorFlow Lite), float32 or quantized."""

import os

import numpy as np

from kd_keras.models import image_spec as images_lib
from kd_keras.teachers import kind
from kd_keras.teachers.classifier import Classifier
from kd_keras.utils import packages, quiet


def can_load(path):
    return path.suffix == ".tflite" and path.is_file()


def load(path, threads=None):
    litert = packages.optional("ai_edge_litert.interpreter", "ai-edge-litert")
    with kind.errors_of_loading(path), quiet.without_messages():
        interpreter = litert.Interpreter(
            str(path), num_threads=threads or os.cpu_count()
        )
        interpreter.allocate_tensors()
    source = kind.only(interpreter.get_input_details(), "input", path)
    target = kind.only(interpreter.get_output_details(), "output", path)

    def run(images):
        if images.shape != tuple(interpreter.get_tensor(source["index"]).shape):
            interpreter.resize_tensor_input(source["index"], images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], quantize(images, source))
        interpreter.invoke()
        return dequantize(interpreter.get_tensor(target["index"]), target)

    return Classifier(
        run,
        path=path,
        kind=KIND.name,
        image_shape=source["shape"][1:].tolist(),
        num_classes=int(np.prod(target["shape"][1:])),
        image_spec=images_of(source),
    )


def quantize(images, details):
    """Converts images to the integers of a model's input.

    Args:
        images: array.
        details: dict with `dtype` and `quantization`, a pair of scale and
            zero point; a scale of 0 means no quantization.
    """
    dtype, (scale, zero_point) = details["dtype"], details["quantization"]
    if not scale:
        return images_lib.to_dtype(images, dtype)
    steps = np.round(images / scale) + zero_point
    limits = np.iinfo(dtype)
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def images_of(details):
    """The `ImageSpec` that a model's input implies; None if it is unknown.

    Args:
        details: as in `quantize`, of the input.
    """
    dtype, (scale, zero_point) = details["dtype"], details["quantization"]
    if not scale:
        return images_lib.UINT8 if dtype == np.uint8 else None
    limits = np.iinfo(dtype)
    low, high = (scale * (x - zero_point) for x in (limits.min, limits.max))
    # A step of 1 is learnt from images, and so is not exact.
    if dtype == np.uint8 and round(low, 2) == 0 and round(high, 2) == 255:
        return images_lib.UINT8
    return images_lib.ImageSpec("float32", float(low), float(high))


def dequantize(values, details):
    """Converts a model's output to float32; `details` as in `quantize`."""
    scale, zero_point = details["quantization"]
    if not scale:
        return values.astype("float32")
    return ((values.astype("float32") - zero_point) * scale).astype("float32")


KIND = kind.Kind(
    name="litert",
    title="LiteRT",
    expected=".tflite file",
    can_load=can_load,
    load=load,
)

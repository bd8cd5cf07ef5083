"""C headers with an int8 LiteRT model, run by LiteRT for Microcontrollers."""

import re

import numpy as np

from kd_keras.teachers import kind
from kd_keras.teachers.classifier import Classifier
from kd_keras.teachers.litert import dequantize, quantize
from kd_keras.utils import packages, quiet


def can_load(path):
    return path.suffix == ".h" and path.is_file()


def load(path, threads=None):
    """Loads the model; its interpreter always has one thread."""
    micro = runtime()
    with kind.errors_of_loading(path), quiet.without_messages():
        text = path.read_text()
        arena_bytes = int(re.search(r"_ARENA_BYTES (\d+)", text)[1])
        interpreter = micro.Interpreter.from_bytes(
            _array(text), arena_size=arena_bytes
        )
    source = _details(interpreter.get_input_details(0))
    target = _details(interpreter.get_output_details(0))

    def run(images):
        rows = []
        for image in images:
            interpreter.set_input(quantize(image[None], source), 0)
            interpreter.invoke()
            rows.append(dequantize(interpreter.get_output(0), target))
        return np.concatenate(rows)

    return Classifier(
        run,
        path=path,
        kind=KIND.name,
        image_shape=source["shape"][1:],
        num_classes=target["shape"][-1],
        arena_bytes=arena_bytes,
    )


def runtime():
    """Imports the runtime of LiteRT for Microcontrollers.

    Raises:
        ValueError: if its package is not installed.
    """
    return packages.optional(
        "tflite_micro.python.tflite_micro.runtime", "tflite-micro"
    )


def size(path):
    return len(_array(path.read_text()))


def _array(text):
    """Parses the bytes of the array in a C header."""
    body = text[text.index("= {") :]
    return bytes(int(byte, 16) for byte in re.findall(r"0x(..)", body))


def _details(details):
    """Converts a tensor's details to the form of LiteRT's interpreter."""
    parameters = details["quantization_parameters"]
    return {
        "dtype": np.dtype(details["dtype"]).type,
        "shape": [int(size) for size in details["shape"]],
        "quantization": (parameters["scales"][0], parameters["zero_points"][0]),
    }


KIND = kind.Kind(
    name="c_array",
    title="C array",
    expected=".h file",
    can_load=can_load,
    load=load,
    size=size,
)

"""C headers with an int8 LiteRT model, run by LiteRT for Microcontrollers."""

import math
import re

import numpy as np

from kd_keras.teachers import kind, micro
from kd_keras.teachers.classifier import Classifier
from kd_keras.teachers.litert import dequantize, images_of, quantize
from kd_keras.utils import quiet


def can_load(path):
    return path.suffix == ".h" and path.is_file()


def load(path, threads=None):
    """Loads the model; its interpreter always has one thread."""
    runtime = micro.runtime()
    with kind.errors_of_loading(path), quiet.without_messages():
        text = path.read_text()
        model = _array(text)
        arena_bytes = int(re.search(r"_ARENA_BYTES (\d+)", text)[1])
        arena_bytes = min(arena_bytes, micro.LARGEST_ARENA)
        with micro.Trials(model) as trials:
            trials.check(arena_bytes)
        interpreter = runtime.Interpreter.from_bytes(
            model, arena_size=arena_bytes
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
        num_classes=math.prod(target["shape"][1:]),
        arena_bytes=arena_bytes,
        image_spec=images_of(source),
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

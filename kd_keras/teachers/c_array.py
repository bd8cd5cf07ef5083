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
        model, arena_bytes = _read(path)
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
    model, _ = _read(path)
    return len(model)


def _read(path):
    """The bytes of the model in a C header, and those of its arena.

    Raises:
        ValueError: if it is no whole header of `kd_keras.export`.
    """
    text = path.read_text(errors="replace")
    arena = re.search(r"_ARENA_BYTES (\d+)", text)
    array = re.search(r"\[(\d+)\] = \{([\s0-9a-fx,]*)\};", text)
    model = re.findall(r"0x(..),", array[2]) if array else []
    if not arena or not model or len(model) != int(array[1]):
        raise kind.Unusable(
            "a .h file must hold a whole array of kd-keras export. Received: "
            f"{path}, which holds none"
        )
    return bytes(int(byte, 16) for byte in model), int(arena[1])


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

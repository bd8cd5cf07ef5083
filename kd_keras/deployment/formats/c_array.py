"""C header with an int8 model, for LiteRT for Microcontrollers."""

import re

from kd_keras.deployment.formats.format import Format
from kd_keras.teachers import c_array

_ARENA_STEP = 1024


def write(source, calibration):
    name = f"{source.name}_int8"
    return header(calibration.int8_model, name=name).encode()


def header(model, *, name):
    """Writes an int8 LiteRT model as a header for C and C++.

    Args:
        model: bytes of the LiteRT file.
        name: str, of the array; characters other than letters and digits
            become `_`.

    Returns:
        str. It holds the smallest memory for tensors ("arena"), rounded up to
        1 KiB, in which LiteRT for Microcontrollers runs the model on this
        machine.
    """
    name = re.sub(r"\W", "_", name)
    arena_bytes = smallest_arena(model)
    rows = [
        "  " + "".join(f"0x{byte:02x}," for byte in model[start : start + 16])
        for start in range(0, len(model), 16)
    ]
    text = f"""\
// A LiteRT model that computes in int8. Input: uint8, an image from 0 to 255;
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


def smallest_arena(model):
    """Finds the smallest arena that a model runs in, by bisection.

    Returns:
        int, bytes, a multiple of 1 KiB.
    """
    low, high = 0, _ARENA_STEP
    while not fits(model, high):
        low, high = high, 2 * high
    while high - low > _ARENA_STEP:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(model, middle) else (middle, high)
    return high


def fits(model, arena_bytes):
    """Returns whether a model runs in an arena of a size."""
    try:
        c_array.runtime().Interpreter.from_bytes(model, arena_size=arena_bytes)
    except RuntimeError:
        return False
    return True


FORMAT = Format(
    name="c_array",
    title="C array, int8",
    description="C header with the int8 model, for LiteRT for Microcontrollers",
    suffix="_int8.h",
    packages=("tflite-micro",),
    write=write,
    # The interpreter has no fast kernels for this machine.
    max_examples=200,
)

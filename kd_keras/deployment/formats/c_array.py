"""C header with an int8 model, for LiteRT for Microcontrollers."""

import re

from kd_keras.deployment.formats import operations
from kd_keras.deployment.formats.format import Format
from kd_keras.models import image_spec as image_specs
from kd_keras.teachers import micro
from kd_keras.utils import packages

_ARENA_STEP = 1024
_TITLE = "C array, int8"
# Operations that the runtime has, but computes otherwise than LiteRT.
_WRONG = ("SPACE_TO_BATCH_ND",)


def write(source, calibration):
    wrong = _used(calibration.int8_model, _WRONG)
    if wrong:
        raise operations.missing(_TITLE, wrong)
    name = f"{source.name}_int8"
    text = header(
        calibration.int8_model, name=name, image_spec=source.image_spec
    )
    return text.encode()


def _used(model, names):
    """Those of some operations that a LiteRT model has.

    Args:
        model: bytes of the LiteRT file.
        names: operations, as in LiteRT's schema.
    """
    schema = packages.optional(
        "ai_edge_litert.schema_py_generated", "ai-edge-litert"
    )
    root = schema.Model.GetRootAs(model)
    codes = {
        root.OperatorCodes(i).BuiltinCode()
        for i in range(root.OperatorCodesLength())
    }
    known = vars(schema.BuiltinOperator)
    return [name for name in names if known[name] in codes]


def header(model, *, name, image_spec=image_specs.UINT8):
    """Writes an int8 LiteRT model as a header for C and C++.

    Args:
        model: bytes of the LiteRT file.
        name: str, of the array; see `identifier`.
        image_spec: `ImageSpec` of the images, for the comment.

    Returns:
        str. It states the smallest memory for tensors ("arena") in which
        LiteRT for Microcontrollers runs the model on this machine, rounded up
        to 1 KiB.
    """
    name = identifier(name)
    arena_bytes = smallest_arena(model)
    rows = [
        "  " + "".join(f"0x{byte:02x}," for byte in model[start : start + 16])
        for start in range(0, len(model), 16)
    ]
    text = f"""\
// A LiteRT model that computes in int8. Input: {_input(image_spec)};
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


def _input(image_spec):
    """Describes the model's input, for the comment."""
    if image_spec.dtype == "uint8":
        return "uint8, an image from 0 to 255"
    return (
        f"int8, an image from {image_spec.low:g} to {image_spec.high:g} in "
        "steps\n// whose scale and zero point the model holds"
    )


def smallest_arena(model):
    """Finds the smallest arena that a model runs in, by bisection.

    Returns:
        int, bytes, a multiple of 1 KiB.

    Raises:
        ValueError: if the model does not run in the largest arena either.
    """
    with micro.Trials(model) as trials:
        trials.check(micro.LARGEST_ARENA)
        low, high = 0, _ARENA_STEP
        while trials.failure(high) is not None:
            low, high = high, 2 * high
        while high - low > _ARENA_STEP:
            middle = (low + high) // 2
            if trials.failure(middle) is None:
                high = middle
            else:
                low = middle
    return high


def identifier(name):
    """Makes a valid identifier of C and C++ from a name.

    ASCII letters, digits and `_` remain. Other ASCII characters become `_`;
    characters outside ASCII become the number of their code point.
    """
    text = "".join(
        character
        if re.fullmatch(r"\w", character, re.ASCII)
        else "_"
        if character.isascii()
        else f"u{ord(character):x}"
        for character in name
    )
    return text if re.match("[A-Za-z]", text) else f"model_{text}"


FORMAT = Format(
    name="c_array",
    title=_TITLE,
    description="C header with the int8 model, for LiteRT for Microcontrollers",
    suffix="_int8.h",
    packages=("tflite-micro", "ai-edge-litert"),
    write=write,
    # The interpreter has no fast kernels for this machine.
    max_examples=200,
)

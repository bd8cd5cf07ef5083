"""Errors about operations that a format does not have."""

import contextlib
import os
import re
import tempfile

from kd_keras.teachers import kind
from kd_keras.utils import scratch

# Messages of converters and runtimes about an operation that they lack.
_PATTERNS = (
    r"'tf\.(\w+)' op is neither a custom op nor a flex op",
    r"No Op registered for (\w+)",
    r"Didn't find op for builtin opcode '(\w+)'",
    r"Didn't find custom op .*for name '?(\w+)",
    r"micro/kernels/(\w+)\.cc:\d+ .*type != ",
    r"error: loc\(callsite\(fused\[\"(\w+):",
)

# Layers whose operations have names that do not tell it.
_LAYERS = {
    "REDUCE_PROD": "as of a Dense layer on more than two axes",
    "SPACE_TO_BATCH_ND": "as of a dilated convolution",
}


def missing(title, names):
    """The ValueError about operations that a format or runtime lacks.

    Args:
        title: str, of the format or runtime.
        names: list of str, the operations.
    """
    described = [
        f"{name} ({_LAYERS[name]})" if name in _LAYERS else name
        for name in names
    ]
    return ValueError(
        f"{title} must have every operation of the model. Received: a model "
        f"with {', '.join(described)}; use another layer or activation, such "
        "as relu, or another of --formats"
    )


def named_in(text):
    """Names of missing operations in the messages of a converter, sorted."""
    return sorted(
        {name for pattern in _PATTERNS for name in re.findall(pattern, text)}
    )


@contextlib.contextmanager
def explained(title):
    """Turns any error of a converter or runtime into a ValueError.

    Args:
        title: str, of the format.

    Raises:
        OSError: if a file could not be written, as on a full disc.
    """
    try:
        yield
    except Exception as error:
        names = named_in(str(error))
        if names:
            raise missing(title, names) from error
        if isinstance(error, kind.Damaged):
            error = error.__cause__
        elif isinstance(error, (ValueError, OSError)):
            raise
        first_line = kind.first_line(error)
        _check_space(error, title, first_line)
        raise ValueError(
            f"a model must be convertible to {title}. Received: an error of "
            f"the converter ({first_line}); use other layers, or another of "
            "--formats"
        ) from error


def _check_space(error, title, first_line):
    """Raises an error of its own where the disc or the memory was full."""
    number = scratch.failed_write(error)
    if number:
        # Converters write into temporary directories.
        place = tempfile.gettempdir()
        raise OSError(number, os.strerror(number), place) from error
    # By name: not every format needs TensorFlow.
    names = {base.__name__ for base in type(error).__mro__}
    if names & {"MemoryError", "ResourceExhaustedError"}:
        raise ValueError(
            f"the memory must hold a conversion to {title}. Received: too "
            f"little ({first_line})"
        ) from error

"""The interface of a kind of model file, and the errors of loading one.

The modules of the kinds import their runtimes inside functions: a process that
runs a LiteRT file does not load TensorFlow.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of model file that can be measured.

    Attributes:
        name: str, as records have it: `litert`.
        title: str, for readers: `LiteRT`.
        expected: str, for error messages: `.tflite file`.
        can_load: function of a `pathlib.Path` -> bool, without reading it.
        load: function of `(path, threads)` -> `Classifier`. `threads` is the
            number of threads, or None for the default of `load_classifier`.
        size: function of a path -> bytes that the model takes.
    """

    name: str
    title: str
    expected: str
    can_load: Callable
    load: Callable
    size: Callable = os.path.getsize


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherKind(Kind):
    """A kind of model file that TensorFlow can train a student with.

    Attributes:
        load_teacher: function of `(path, outputs)` -> `Teacher`.
        weight_arrays: function of a path -> iterable of all weights, in any
            order, read without building the model.
        graph: function of a path -> SHA-256 of what the model computes: its
            operations, with each weight in its place.
        network_weights: function of a path -> list of arrays, as
            `get_weights` of the Keras model returns them.
    """

    load_teacher: Callable
    weight_arrays: Callable
    graph: Callable
    network_weights: Callable


class Unusable(ValueError):
    """A model that can be read but not be used as requested."""


class Damaged(ValueError):
    """A model that its runtime cannot load; the cause is the runtime's."""


@contextlib.contextmanager
def errors_of_loading(path):
    """Turns whatever a runtime raises on damaged bytes into a ValueError."""
    try:
        yield
    except Unusable:
        raise
    except Exception as error:
        first_line = (str(error).strip().splitlines() or [repr(error)])[0]
        raise Damaged(
            f"a model must be whole. Received: {path}, which cannot be loaded "
            f"({first_line})"
        ) from error


def only(tensors, role, path):
    """Returns the single element of a model's inputs or outputs.

    Args:
        tensors: sequence of any objects.
        role: str, `input` or `output`.
        path: path of the model.

    Raises:
        ValueError: if there are none or several.
    """
    if len(tensors) != 1:
        raise Unusable(
            f"a classifier must have one {role}. Received: {path} with "
            f"{len(tensors)}"
        )
    return tensors[0]

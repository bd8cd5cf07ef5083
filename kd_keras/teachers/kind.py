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
        expected: str, for error messages: `.tflite file`; empty for a kind
            that has names instead of files.
        can_load: function of a `pathlib.Path` -> bool, without reading it.
        load: function of `(path, threads)` -> `Classifier`. `threads` is the
            number of threads, or None for the default of `load_classifier`.
            None for a kind that has names alone.
        size: function of a path -> bytes that the model takes.
    """

    name: str
    title: str
    expected: str
    can_load: Callable
    load: Callable | None
    size: Callable = os.path.getsize


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherKind(Kind):
    """A kind of model that can teach a student.

    A reference is the `pathlib.Path` of a file or directory, or a str, the
    name of a model that is no file: `keras_applications:ResNet50`.

    Attributes:
        load_teacher: function of `(reference, options)` -> `Teacher` of the
            model as it is. Of the `TeacherOptions` it follows `outputs`,
            `signature` and `features`; the others are wrapped around it.
        weight_arrays: function of a reference -> iterable of all weights, in
            any order, read without building the model where that is possible.
        graph: function of a reference -> SHA-256 of what the model computes:
            its operations, with each weight in its place. For a kind that has
            signatures, it also takes the name of one.
        network_weights: function of a reference -> list of arrays, as
            `get_weights` of the Keras model returns them; None for a kind
            that has none in this order.
        is_name: function of a str that is no path -> bool, whether it names a
            model of this kind, without loading it.
        expected_name: str, for error messages: `keras_applications:NAME`.
        preprocesses: bool, whether the model comes with its own
            preprocessing, so that it takes images from 0 to 255.
        has_signatures: bool, whether a model has several functions;
            `TeacherOptions.signature` names one.
        is_graph: bool, whether TensorFlow computes all of it.
    """

    load_teacher: Callable
    weight_arrays: Callable
    graph: Callable
    network_weights: Callable | None = None
    is_name: Callable = lambda name: False
    expected_name: str = ""
    preprocesses: bool = False
    has_signatures: bool = False
    is_graph: bool = False


class Unusable(ValueError):
    """A model that can be read but not be used as requested."""


class Damaged(ValueError):
    """A model that its runtime cannot load; the cause is the runtime's."""


@contextlib.contextmanager
def errors_of_loading(path):
    """Turns whatever a runtime raises on damaged bytes into a ValueError."""
    try:
        yield
    except (Unusable, Damaged):
        raise
    except Exception as error:
        raise Damaged(
            f"a model must be whole. Received: {path}, which cannot be loaded "
            f"({first_line(error)})"
        ) from error


def first_line(error):
    """The first line of an exception's message, or its type without one."""
    return (str(error).strip().splitlines() or [repr(error)])[0]


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

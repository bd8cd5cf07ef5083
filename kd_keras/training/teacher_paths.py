"""The paths of the teacher of a run; imports no TensorFlow."""

import contextlib
import pathlib

from kd_keras.teachers import copies, loading
from kd_keras.utils import remote


def of(config, savedmodels):
    """The paths or names of the teachers: list of str or path, never empty.

    Args:
        config: the resolved configuration.
        savedmodels: path; see `prepare.Context`.
    """
    parts = [part.strip() for part in config.teacher.path.split(",")]
    return list(filter(None, parts)) or [default(config, savedmodels)]


def default(config, savedmodels):
    """The path that the teacher stage exports to.

    Args:
        config: the resolved configuration.
        savedmodels: path; see `prepare.Context`.
    """
    path = pathlib.Path(savedmodels) / f"{config.name}_teacher"
    with contextlib.suppress(FileNotFoundError):
        return copies.local(path)
    return path


def check(config, savedmodels):
    """Raises a ValueError if a teacher on local disk does not exist.

    Args:
        config: the resolved configuration.
        savedmodels: path; see `prepare.Context`.
    """
    if not config.teacher.path and remote.is_remote(savedmodels):
        return
    for path in of(config, savedmodels):
        if not remote.is_remote(path):
            check_exists(path)


def are_graphs(paths):
    """Whether TensorFlow computes all of these teachers: bool.

    Args:
        paths: as `of` returns them. A teacher that is not trained yet will be
            a network of this program, which TensorFlow computes.

    Raises:
        ValueError: if one is of no kind.
    """
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            kind, _ = loading.find_teacher(path)
            if not kind.is_graph:
                return False
    return True


def check_exists(path):
    """Raises a ValueError if a teacher does not exist, or is of no kind.

    Args:
        path: str or path, or the name of a model.
    """
    try:
        loading.find_teacher(path)
    except FileNotFoundError:
        raise ValueError(
            "students and specialists need a teacher: run kd-keras train "
            "--stage=teacher first, or set --config.teacher.path to a model "
            f"(SavedModel, .keras, .onnx and others; see --help-config). "
            f"Received: {path}, which does not exist"
        ) from None

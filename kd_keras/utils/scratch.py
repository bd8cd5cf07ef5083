"""Temporary directories that a killed process leaves to a later one."""

import contextlib
import pathlib
import shutil
import tempfile
import time

from kd_keras.utils import locks

_PREFIX = ".kd_keras-new-"
_OWNER = "owner.json"
# A directory without an owner is one whose process was killed at once.
_OWNERLESS_SECONDS = 3600


@contextlib.contextmanager
def directory(parent):
    """Yields a new directory in `parent`, which is removed at the end.

    A killed process leaves it behind; a later one clears it.

    Args:
        parent: str or path; made if needed.
    """
    parent = pathlib.Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(parent)
    made = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        with locks.marking(made / _OWNER):
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def literal(path):
    """Yields another path of a directory, without special characters.

    TensorFlow takes brackets, stars and backslashes in the path of a file
    that it reads for a pattern, and then reads another file or none.
    """
    with tempfile.TemporaryDirectory() as folder:
        link = pathlib.Path(folder) / "link"
        link.symlink_to(pathlib.Path(path).resolve())
        yield link


def is_scratch(path):
    """Whether a path names a temporary directory of this program."""
    return path.name.startswith(_PREFIX) and not path.is_symlink()


def _clear_leftovers(parent):
    for path in parent.iterdir():
        if is_scratch(path) and path.is_dir() and _is_left_over(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_left_over(scratch):
    """Whether the process that made a scratch directory has ended."""
    try:
        if (scratch / _OWNER).exists():
            return locks.is_left_behind(scratch / _OWNER)
        # Killed before it could write the owner, which takes no time.
        age = time.time() - scratch.stat().st_mtime
        return age > _OWNERLESS_SECONDS and not any(scratch.iterdir())
    except OSError:
        return False

"""Temporary directories that a killed process leaves to a later one."""

import contextlib
import errno
import os
import pathlib
import shutil
import tempfile

from kd_keras.utils import locks

_PREFIX = ".kd_keras-new-"
_OWNER = "owner.json"
# Errors of a write, which do not name the file.
_NOT_WRITTEN = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO}
# NumPy's, without a number: "8000 requested and 4064 written", and "Not enough
# free space to write 8000 bytes".
_NOT_WRITTEN_TEXTS = ("requested and", "free space")
# Attempts to make a directory, which others may clear before it has an owner.
_ATTEMPTS = 100


@contextlib.contextmanager
def directory(parent):
    """Yields a new directory in `parent`, which is removed at the end.

    A killed process leaves it behind; a later one clears it.

    Args:
        parent: str or path; made if needed.
    """
    parent = pathlib.Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    clear(parent)
    with contextlib.ExitStack() as stack:
        made = _make(parent, stack)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def writing(parent):
    """As `directory`, for files that are written at once.

    Args:
        parent: str or path; made if needed.

    Raises:
        OSError: if a file cannot be written, as on a full disc. It names
            `parent`, which the error of a write does not.
    """
    try:
        with directory(parent) as made:
            yield made
    except OSError as error:
        if error.filename is not None:
            raise
        if error.errno in _NOT_WRITTEN:
            reason = os.strerror(error.errno)
        elif any(text in str(error) for text in _NOT_WRITTEN_TEXTS):
            reason = f"the disc may be full ({error})"
        else:
            raise
        number = error.errno or errno.ENOSPC
        raise OSError(number, reason, str(parent)) from error


def failed_write(error):
    """The number of the failed write that is behind an error.

    Args:
        error: exception of any program, such as TensorFlow, whose errors have
            no numbers.

    Returns:
        int, as of `OSError.errno`; None for other errors.
    """
    while error is not None:
        for number in _NOT_WRITTEN:
            if getattr(error, "errno", None) == number:
                return number
            if os.strerror(number) in str(error):
                return number
        error = error.__cause__ or error.__context__
    return None


@contextlib.contextmanager
def literal(path):
    """Yields another path of a directory, without special characters.

    TensorFlow reads a path with brackets, stars or backslashes as a pattern,
    and then opens another file or none.
    """
    with tempfile.TemporaryDirectory() as folder:
        link = pathlib.Path(folder) / "link"
        link.symlink_to(pathlib.Path(path).resolve())
        yield link


def is_scratch(path):
    """Whether a path names a temporary directory of this program."""
    return path.name.startswith(_PREFIX) and not path.is_symlink()


def _make(parent, stack):
    """Makes a directory whose owner holds a lock file in it."""
    for _ in range(_ATTEMPTS):
        made = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        try:
            stack.enter_context(locks.marking(made / _OWNER))
            return made
        except FileNotFoundError as error:
            # Another process has taken it for one that was left behind.
            failure = error
    raise failure


def clear(parent):
    """Removes the temporary directories of ended processes from a directory.

    Args:
        parent: path; it need not exist.
    """
    for path in list(parent.iterdir()) if parent.is_dir() else []:
        if is_scratch(path) and path.is_dir():
            with contextlib.suppress(OSError):
                _clear_if_left(path)


def _clear_if_left(made):
    if not (made / _OWNER).exists():
        # Its process was killed at once: removed only if it is empty.
        made.rmdir()
        return
    with locks.claiming(made / _OWNER) as is_left:
        if is_left:
            shutil.rmtree(made, ignore_errors=True)

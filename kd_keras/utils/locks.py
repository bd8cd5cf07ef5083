"""Locks on directories, for one process at a time.

A lock is a file that its holder keeps locked by `flock(2)`. The kernel frees
it when the holder ends, in whatever way: no process number, host name or age
decides whether a lock is held. The file also names its holder, for messages.

The reach of a lock:

- Among the processes of one machine, in all containers that share the
  directory, it always holds. The lock of a process that was killed is free at
  once, and so is a lock from before a reboot.
- Among machines that share a file system, it holds if the file system passes
  locks on: NFS does unless it is mounted with `nolock` or `local_lock`, and
  Lustre does if it is mounted with `flock`. The lock of a machine that died is
  free when the server has noticed it (NFS 4: after 90 seconds by default).
- Elsewhere a machine knows only its own locks. On a file system without locks,
  a warning is logged, and nothing keeps two processes apart.

`filelock` was considered: where a file system has no locks it falls back on
process numbers and host names, which containers share.
"""

import contextlib
import errno
import fcntl
import json
import logging
import math
import os
import pathlib
import time

from kd_keras.utils import processes

_log = logging.getLogger(__name__)

_PREFIX = ".kd_keras-lock"
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}
_MAY_NOT_WRITE = {errno.EACCES, errno.EPERM, errno.EROFS}
_PAUSE_SECONDS = 0.02
# Attempts to make a directory and a file in it, which others may remove.
_ATTEMPTS = 100
# The wait until a holder has written its name.
_NAME_SECONDS = 0.2
# A free lock of another machine counts as left behind after this time: not
# every file system passes locks on.
_OTHER_MACHINE_SECONDS = 3600


class HeldError(ValueError):
    """Another process holds the lock.

    Attributes:
        holder: str, that process and when it began.
    """

    def __init__(self, message, holder):
        super().__init__(message)
        self.holder = holder


@contextlib.contextmanager
def holding(
    directory, *, part="", patience=0.0, remedy="take another directory"
):
    """Holds the lock of a directory, or of a part of it.

    The directory is made where it does not exist, and removed again where
    nothing else was written into it. Where this process may write nothing, it
    holds no lock.

    Args:
        directory: str or path.
        part: str, the part of the directory; empty for all of it.
        patience: float, seconds to wait until another holder has ended.
        remedy: str, what else to do where another process holds the lock.

    Raises:
        HeldError: if another process holds the lock.
        ValueError: if a file stands where the directory is needed.
    """
    directory = pathlib.Path(directory)
    path = directory / (f"{_PREFIX}-{part}" if part else _PREFIX)
    made = [x for x in (directory, *directory.parents) if not x.exists()]
    file = None
    try:
        file = _acquire(path, part, patience, remedy)
        yield
    finally:
        if file is not None:
            # Removed while held: a process that waits looks for a new file.
            # That of another user may stay: without a holder it is free.
            with contextlib.suppress(PermissionError):
                path.unlink(missing_ok=True)
            os.close(file)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def waiting(directory, *, part=""):
    """Holds a lock as soon as it is free, and logs that it waits.

    Args:
        directory, part: as of `holding`.

    Raises:
        ValueError: if a file stands where the directory is needed.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(holding(directory, part=part))
        except HeldError as error:
            path = pathlib.Path(directory) / part
            _log.info("%s: waiting for %s", path, error.holder)
            lock = holding(directory, part=part, patience=math.inf)
            stack.enter_context(lock)
        yield


@contextlib.contextmanager
def marking(path):
    """Holds a new lock file, which `claiming` recognises once it is left.

    Args:
        path: path of a file in a directory that exists.

    Raises:
        FileNotFoundError: if another process claims or removes it meanwhile.
    """
    file = _open(path, os.O_CREAT)
    try:
        if file is not None:
            is_free = _try_lock(file)
            _write_name(file)
            if is_free is False or not _is_at(file, path):
                raise FileNotFoundError(
                    errno.ENOENT, os.strerror(errno.ENOENT), str(path)
                )
        yield
    finally:
        if file is not None:
            os.close(file)


@contextlib.contextmanager
def claiming(path):
    """Yields whether the holder of a lock file has ended; then holds it.

    A file system may not pass on the locks of another machine. So the lock
    file of another machine's process must also be an hour old.
    """
    file = _open(path)
    try:
        yield file is not None and _is_left_behind(file, path)
    finally:
        if file is not None:
            os.close(file)


def clear(directory):
    """Removes the lock files that ended processes left in a directory.

    Args:
        directory: str or path.
    """
    for path in filter(is_lock, pathlib.Path(directory).iterdir()):
        # Another process may remove it first.
        with contextlib.suppress(OSError), claiming(path) as is_left:
            if is_left:
                path.unlink()


def is_lock(path):
    """Whether a path names a lock file of `holding`."""
    return path.name.startswith(_PREFIX) and not path.is_symlink()


def _acquire(path, part, patience, remedy):
    """Opens and locks the file of a lock.

    Args:
        path: path of the file.
        part, patience, remedy: as of `holding`.

    Returns:
        File descriptor, or None where this process may write nothing.

    Raises:
        HeldError, ValueError: as `holding`.
    """
    deadline = time.monotonic() + patience
    while True:
        file = _open_or_make(path)
        if file is None:
            return None
        is_free = _try_lock(file)
        if is_free is not False and _is_at(file, path):
            break
        os.close(file)
        if is_free is False and time.monotonic() >= deadline:
            holder = _named(_read_name_soon(path))
            raise HeldError(
                f"{path.parent} must be used by one process at a time. "
                f"Received: {f'{part} in it' if part else 'it'} is held by "
                f"{holder}; wait until that has ended, or {remedy}",
                holder,
            )
        time.sleep(_PAUSE_SECONDS)
    if is_free is None:
        _log.warning(
            "warning: the file system of %s has no locks; nothing keeps other "
            "processes out of it",
            path.parent,
        )
    _log_taking_over(path)
    _write_name(file)
    return file


def _open_or_make(path):
    """As `_open`, of a file that is made if needed, with its directory."""
    for _ in range(_ATTEMPTS):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return _open(path, os.O_CREAT)
        except (
            FileExistsError,
            FileNotFoundError,
            NotADirectoryError,
        ) as error:
            obstacle = _obstacle(path.parent)
            if obstacle:
                raise ValueError(
                    "runs, stores, exports and data need a directory. "
                    f"Received: {path.parent}, where {obstacle}"
                ) from error
            # Another process has just removed the directory that it made.
            failure = error
        except OSError as error:
            if error.errno in _MAY_NOT_WRITE:
                return None
            raise
    raise failure


def _obstacle(directory):
    """What stands where a directory cannot be made; empty if nothing does."""
    for place in (directory, *directory.parents):
        if place.is_symlink() and not place.exists():
            target = os.readlink(place)
            return f"{place} is a link to {target}, which does not exist"
        if place.exists() and not place.is_dir():
            return "a file is in the way"
    return ""


def _open(path, flags=0):
    """A descriptor of a lock file; None if this process may not write it."""
    flags |= os.O_NOFOLLOW
    try:
        return os.open(path, os.O_RDWR | flags, 0o666)
    except OSError as error:
        if error.errno not in _MAY_NOT_WRITE:
            raise
    # The lock file of another user can be locked all the same.
    with contextlib.suppress(OSError):
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    return None


def _is_left_behind(file, path):
    is_free = _try_lock(file)
    # Its holder may have ended meanwhile, and another process made a new one.
    if is_free is False or not _is_at(file, path):
        return False
    boot = processes.this_process()["boot"]
    # A process that was killed at once has left no name.
    if is_free and _read_name(path).get("boot", boot) == boot:
        return True
    age = time.time() - os.fstat(file).st_mtime
    return age > _OTHER_MACHINE_SECONDS


def _try_lock(file):
    """Whether the lock was free, and is held now; None without locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise


def _is_at(file, path):
    """Whether an open file is still at its path."""
    try:
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except OSError:
        return False


def _log_taking_over(path):
    before = _read_name(path)
    if before and before.get("boot") != processes.this_process()["boot"]:
        _log.info(
            "lock: that of %s, left by %s, is free and is taken over",
            path.parent,
            _named(before),
        )


def _write_name(file):
    since = time.strftime("%Y-%m-%d %H:%M:%S %z")
    name = {**processes.this_process(), "since": since}
    # A full disk, or another user's file: the lock holds without a name.
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(name).encode(), 0)


def _read_name(path):
    """Reads a holder's name: a dict, empty if none is written yet."""
    try:
        name = json.loads(pathlib.Path(path).read_text())
        return name if isinstance(name, dict) else {}
    except (OSError, ValueError):
        return {}


def _read_name_soon(path):
    deadline = time.monotonic() + _NAME_SECONDS
    while not _read_name(path) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
    return _read_name(path)


def _named(name):
    if not name:
        return "another process"
    return (
        f"process {name.get('process')} on host {name.get('host')} since "
        f"{name.get('since')}"
    )

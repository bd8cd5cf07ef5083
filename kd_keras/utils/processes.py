"""Identifies a process, so that a message can name it, and ends it."""

import contextlib
import os
import pathlib
import platform
import sys
import threading
import traceback

_ends_without_cleanup = threading.Event()


def this_process():
    """Identifies this process among the processes of all machines.

    Returns:
        dict of JSON values: `host`, a name, which containers may share;
        `boot`, the same for all processes of a machine until it restarts;
        `process`, a number.
    """
    return {
        "host": platform.node(),
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        "process": os.getpid(),
    }


def end_without_cleanup():
    """Lets `ending_at_once` end this process without its usual cleanup.

    In that cleanup, the workers of TensorFlow's cluster wait for each other,
    even for a worker that has failed.
    """
    _ends_without_cleanup.set()


@contextlib.contextmanager
def ending_at_once():
    """Context of a command, whose exit is the process's end.

    Without `end_without_cleanup` it changes nothing. An error that is not
    `SystemExit` gets its traceback and the exit code 1.
    """
    try:
        yield
    except BaseException as error:
        if not _ends_without_cleanup.is_set():
            raise
        code = 1
        if isinstance(error, SystemExit):
            code = error.code or 0
        else:
            traceback.print_exc()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code if isinstance(code, int) else 1)


def _read(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return ""

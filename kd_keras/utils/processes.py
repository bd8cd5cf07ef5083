"""Identifies a process, so that a message can name it."""

import os
import pathlib
import platform


def this_process():
    """Returns what identifies this process among those of all machines.

    Returns:
        dict that JSON can hold: `host`, a name, which containers may share;
        `boot`, the same for all processes of a machine until it is started
        again; `process`, a number.
    """
    return {
        "host": platform.node(),
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        "process": os.getpid(),
    }


def _read(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return ""

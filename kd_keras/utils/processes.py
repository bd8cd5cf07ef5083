"""Identifies a process, so that another one can tell whether it has ended."""

import os
import pathlib
import platform

import psutil


def this_process():
    """Returns what identifies this process among those of all machines.

    Returns:
        dict that JSON can hold: host, boot, namespace, process, started.
    """
    return {
        "host": platform.node(),
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        # Containers of one machine number their processes separately.
        "namespace": _link("/proc/self/ns/pid"),
        "process": os.getpid(),
        "started": psutil.Process().create_time(),
    }


def has_ended(identity):
    """Returns whether a process has ended; False where that is unknown.

    Args:
        identity: dict of `this_process`, as that process returned it.

    Raises:
        KeyError: if the dict lacks an entry.
        TypeError: if it is no dict, or an entry is of another type.
    """
    mine = this_process()
    if identity["host"] != mine["host"]:
        return False
    if identity["boot"] != mine["boot"]:
        return True
    if identity["namespace"] != mine["namespace"]:
        return False
    return not _is_running(identity["process"], identity["started"])


def _is_running(process, started):
    try:
        return abs(psutil.Process(process).create_time() - started) < 1
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _read(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return ""


def _link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""

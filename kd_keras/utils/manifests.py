"""The list of the files that this program wrote into a directory.

`written_by_kd_keras.json` holds the SHA-256 of each. A file that is listed and
differs is damaged, or was changed by somebody else.
"""

import os
import pathlib

from kd_keras.utils import digests, records

NAME = "written_by_kd_keras.json"
GENERATOR = "written by kd_keras"
_FORM = {"generator": str, "files": {str: [str]}}


def read(directory):
    """Returns the list: `{relative path: list of SHA-256}`, {} without one.

    A file that is just being replaced has two SHA-256.

    Raises:
        ValueError: if the list is damaged.
    """
    path = pathlib.Path(directory) / NAME
    if not path.exists():
        return {}
    return records.read_json(
        path,
        _FORM,
        what="the list of the files that this program wrote",
        remedy="remove it to use the files unchecked, or write them again "
        "into another directory",
    )["files"]


def record(listed):
    """Returns the contents of the file: a dict of JSON values.

    Args:
        listed: dict, as `read` returns it.
    """
    return records.sealed({"generator": GENERATOR, "files": listed})


def is_as_written(directory, name, listed):
    """Returns whether a file is listed and has not changed.

    Args:
        directory: path.
        name: str, path relative to it.
        listed: dict, as `read` returns it.
    """
    path = pathlib.Path(directory) / name
    if name not in listed or path.is_symlink() or not path.is_file():
        return False
    try:
        return digests.sha256_of_file(path) in listed[name]
    except OSError:
        return False


def changed(directory, listed):
    """Returns the sorted names of listed files that changed or are missing."""
    return sorted(
        name for name in listed if not is_as_written(directory, name, listed)
    )


def check(directory, names, *, what, remedy):
    """Raises a ValueError if a listed file is missing or has changed.

    Files that are not listed, and directories without a list, pass.

    Args:
        directory: path.
        names: function of a str -> bool, which of the files are checked.
        what, remedy: as `records.read_json`.
    """
    listed = {
        name: sums for name, sums in read(directory).items() if names(name)
    }
    for name in changed(directory, listed):
        path = pathlib.Path(directory) / name
        reason = f"its SHA-256 is not the one in {NAME}"
        if not path.exists():
            reason = f"it is missing, and listed in {NAME}"
        elif not os.access(path, os.R_OK):
            reason = "permission denied"
        raise records.damaged(path, reason, what=what, remedy=remedy)

"""Finds the files in folders, without hidden ones and endless loops."""

import array
import collections
import contextlib
import os

import numpy as np

from kd_keras.data import image_files, scanning
from kd_keras.utils import path_lists

# Names of files and folders of operating systems, in lower case.
_OF_THE_SYSTEM = {
    b"__macosx",
    b"thumbs.db",
    b"ehthumbs.db",
    b"desktop.ini",
    b"icon\r",
    b"$recycle.bin",
    b"system volume information",
    b"@eadir",
    b"#recycle",
    b"lost+found",
}


def subfolders(folder):
    """Names of the visible folders in a folder, sorted: list of str."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not _is_hidden(os.fsencode(entry.name)) and entry.is_dir()
        )


class Finder:
    """Gathers the files of folders for a `scanning.Listing`.

    Links to files and folders are followed. A folder is entered once for a
    tree; folders that contain the tree are not entered.
    """

    def __init__(self):
        self._paths = path_lists.Builder()
        self._groups = array.array("i")
        self._skipped = collections.Counter()
        self._failures = {}

    def add_files(self, folder, group):
        """Adds the files directly in a folder.

        Args:
            folder: str.
            group: int.
        """
        names, _ = self._entries(os.fsencode(folder))
        self._add(os.fsencode(folder), names, group)

    def add_tree(self, folder, group):
        """Adds the files in a folder and at any depth below it.

        Args:
            folder, group: as in `add_files`.
        """
        folder = os.path.abspath(os.fsencode(folder))
        entered = _ancestors(folder) | _ancestors(os.path.realpath(folder))
        waiting = [folder]
        while waiting:
            folder = waiting.pop()
            identity = _identity(folder)
            if identity in entered:
                continue
            entered.add(identity)
            names, folders = self._entries(folder)
            self._add(folder, names, group)
            waiting += [os.path.join(folder, name) for name in folders[::-1]]

    def skip(self, reason, count):
        """Counts entries that are left out."""
        if count:
            self._skipped[reason] += count

    def listing(self, place):
        """Returns the `scanning.Listing` of all added files."""
        return scanning.Listing(
            paths=self._paths.build(),
            groups=np.array(self._groups, np.int32),
            place=place,
            skipped=dict(self._skipped),
            failures=self._failures,
        )

    def _add(self, folder, names, group):
        self._paths.add(os.path.abspath(folder), names)
        self._groups.extend([group] * len(names))

    def _entries(self, folder):
        """Returns `(names, folders)`: lists of bytes, sorted."""
        names, folders = [], []
        try:
            entries = os.scandir(folder)
        except OSError as error:
            path = os.fsdecode(folder)
            self._failures[path] = f"{error.strerror}: {path}"
            return names, folders
        with entries:
            for entry in entries:
                if _is_hidden(entry.name):
                    self.skip("hidden", 1)
                elif entry.is_dir():
                    folders.append(entry.name)
                elif entry.is_file() or _is_broken_image(entry):
                    names.append(entry.name)
                else:
                    self.skip("not a regular file", 1)
        return sorted(names), sorted(folders)


def _is_hidden(name):
    return name.startswith(b".") or name.lower() in _OF_THE_SYSTEM


def _is_broken_image(entry):
    """Whether a broken link has the suffix of an image."""
    suffix = os.path.splitext(os.fsdecode(entry.name))[1].lower()
    return entry.is_symlink() and suffix in image_files.SUFFIXES


def _identity(path):
    """The device and number of a folder, or its path if it is missing."""
    with contextlib.suppress(OSError):
        stat = os.stat(path)
        return stat.st_dev, stat.st_ino
    return path


def _ancestors(path):
    """The identities of the folders that a folder lies in: set."""
    found = set()
    while (parent := os.path.dirname(path)) != path:
        found.add(_identity(parent))
        path = parent
    return found

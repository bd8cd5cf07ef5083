"""Reads image files by their ids."""

import concurrent.futures
import functools
import os

import numpy as np
import tensorflow as tf

from kd_keras.data import python_ops, readers
from kd_keras.utils import digests, file_digests

# Files on a remote disk are read faster in parallel.
_THREADS = 8


class FileReader(readers.EncodedReader):
    """Images in files, an id each.

    Args:
        paths: `path_lists.PathList`.
        decode: as of `EncodedReader`.
        place: str, the folder or table that lists the files.
    """

    def __init__(self, paths, decode, *, place):
        super().__init__(len(paths), decode)
        self._paths = paths
        self._place = place

    def encoded(self, ids):
        """Reads the contents of files: string tensor `(n,)`.

        Raises:
            tf.errors.InvalidArgumentError: if a file cannot be read any more;
                the message names it.
        """
        contents = python_ops.numpy_function(
            self._read, [ids], tf.string, stateful=False
        )
        contents.set_shape(ids.shape)
        return contents

    def _read(self, ids):
        contents = _pool(os.getpid()).map(_contents, map(self.name, ids))
        return np.array(list(contents), object)

    def name(self, example_id):
        """The path of a file: str."""
        return self._paths[int(example_id)]

    def find_damaged(self):
        """Decodes all images: dict of the ids of damaged ones to errors."""

        def fault(name):
            try:
                self.decode.decode(_contents(name), name)
            except ValueError as error:
                return str(error)
            return None

        faults = _pool(os.getpid()).map(fault, map(self.name, self.ids))
        return {i: text for i, text in enumerate(faults) if text}

    def contents_digest(self, ids):
        """SHA-256 of the contents of files, not of their names."""
        rows, places = np.unique(ids, return_inverse=True)
        chosen = np.zeros(len(self._paths), bool)
        chosen[rows] = True
        contents = file_digests.digests_of_files(
            self._paths.select(chosen), self._place
        )
        return digests.sha256_of_arrays(contents[places])


def _contents(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ValueError(
            "image files must stay where they are while they are used. "
            f"Received: {error.strerror}: {path}"
        ) from error


@functools.lru_cache(maxsize=1)
def _pool(process):
    """Threads of a process; a fork of it has none of them."""
    del process
    return concurrent.futures.ThreadPoolExecutor(_THREADS, "files")

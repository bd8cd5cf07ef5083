"""SHA-256 of many files, which are read again only if they have changed."""

import os

from kd_keras.utils import digests, file_cache, path_lists


def sha256_of_files(paths):
    """SHA-256 of the contents of each file.

    A file is not read if it has not changed since an earlier call: see
    `file_cache`.

    Args:
        paths: iterable of str.

    Returns:
        List of str, 64 hex digits each.

    Raises:
        OSError: if a file cannot be read.
    """
    paths = path_lists.PathList.of(paths)
    place = os.path.dirname(paths[0]) if len(paths) else ""
    return [row.tobytes().hex() for row in digests_of_files(paths, place)]


def digests_of_files(paths, place):
    """SHA-256 of the contents of millions of files.

    Args:
        paths: `path_lists.PathList`.
        place: str, the folder or file that lists them.

    Returns:
        uint8 array `(n, 32)`.

    Raises:
        OSError: if a file cannot be read.
    """
    return file_cache.values(
        paths,
        lambda path: bytes.fromhex(digests.sha256_of_file(path)),
        kind="sha256",
        width=32,
        place=place,
    )

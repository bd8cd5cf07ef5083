"""Local copies of data in object stores: records are read at random."""

import os

from kd_keras.utils import remote, remote_copies

_WHAT = "data.data_dir"


def folders(data_dir):
    """The local paths of one or several folders, with commas between: str.

    Args:
        data_dir: str, `config.data.data_dir`.

    Raises:
        FileNotFoundError, ValueError: as `remote_copies.local`.
    """
    parts = [part.strip() for part in data_dir.split(",")]
    # The name of a local folder may have a comma.
    if not any(remote.is_remote(part) for part in parts):
        remote.check(data_dir, _WHAT)
        return data_dir
    return ",".join(str(remote_copies.local(part, _WHAT)) for part in parts)


def file_with_folder(path):
    """The local path of a file, which is copied with all of its folder.

    Args:
        path: str.

    Raises:
        FileNotFoundError, ValueError: as `remote_copies.local`.
    """
    if not remote.is_remote(path):
        remote.check(path, _WHAT)
        return path
    folder, _, name = remote.url_of(path).rpartition("/")
    return os.path.join(remote_copies.local(folder, _WHAT), name)


def folder_with(data_dir, name):
    """The local path of a folder; only one of its subfolders is copied.

    Args:
        data_dir: str.
        name: str, the subfolder.

    Raises:
        FileNotFoundError, ValueError: as `remote_copies.local`.
    """
    if not remote.is_remote(data_dir):
        remote.check(data_dir, _WHAT)
        return data_dir
    url = f"{remote.url_of(data_dir)}/{name}"
    return os.path.dirname(remote_copies.local(url, _WHAT))

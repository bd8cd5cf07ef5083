"""Copies of remote files and directories on local disk.

They lie in the user's cache directory (`~/.cache/kd_keras/remote` on Linux),
one folder for each URL, and may be removed at any time. A copy is compared
with the objects' sizes and versions whenever it is used. Files that have
changed or are missing are copied again, so an interrupted copy resumes.
"""

import contextlib
import json
import logging
import shutil

import platformdirs

from kd_keras.utils import digests, files, locks, object_stores, remote

_log = logging.getLogger(__name__)

_RECORD = "objects.json"
# The longest wait while another process copies the same.
_PATIENCE_SECONDS = 86_400


def local(path, what, *, needs=None, beside=()):
    """The local copy of a remote path; a local path as it is.

    Args:
        path: str or path of a file or directory.
        what: str, the option that gave it, for errors.
        needs: str, the name of a file without which a directory is of no
            use, so that nothing is copied; None for any directory.
        beside: names of files that are copied together with a file, if they
            lie beside it. Files whose names begin with the file's name,
            without its suffix, are always copied.

    Returns:
        `path`, or `pathlib.Path` of the copy, which has the same name.

    Raises:
        ValueError: if there is no such file or directory, its upload is
            unfinished, it cannot be read, or the disk is too small; or if the
            path has another scheme.
    """
    remote.check(path, what)
    url = remote.url_of(path)
    if url is None:
        return path
    folder = place_of(url)
    with locks.holding(folder, patience=_PATIENCE_SECONDS):
        is_file = remote.is_object(url)
        parent, _, name = url.rpartition("/")
        source = parent if is_file else url
        target = folder if is_file else folder / name
        found = _objects(url, is_file, beside)
        _check_found(url, what, found, None if is_file else needs)
        _copy(source, folder, target, found)
        if _objects(url, is_file, beside) != found:
            raise object_stores.RemoteError(
                f"{what} must not change while it is copied. Received: {url}, "
                "which did; the same command copies what has changed"
            )
    return folder / name


def place_of(url):
    """The folder in the cache that is for a URL: path."""
    return root() / digests.sha256_of_text(url)[:16]


def root():
    """The folder in the user's cache directory with all copies: path."""
    return platformdirs.user_cache_path("kd_keras") / "remote"


def check_space(folder, size, what):
    """Raises a ValueError if a disk has no room for some bytes more.

    Args:
        folder: path of a directory, which need not exist.
        size: int, bytes.
        what: str, the data to write, for the error.
    """
    there = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(there).free
    if size > free:
        raise object_stores.RemoteError(
            f"the disk must have room for {what}. Received: {size:,} bytes, "
            f"and {free:,} free at {folder}; free some, or let XDG_CACHE_HOME "
            "name a directory of another disk"
        )


def _objects(url, is_file, beside):
    """The objects of a directory, or a file with those that belong to it."""
    if not is_file:
        return remote.objects(url)
    folder, _, name = url.rpartition("/")
    stem = name.partition(".")[0]
    return {
        other: entry
        for other, entry in remote.objects(folder, deep=False).items()
        if other.startswith(stem) or other in beside
    }


def _check_found(url, what, found, needs):
    if not found:
        raise FileNotFoundError(
            f"{what} must exist. Received: {url}, where nothing is"
        )
    remedy = f"Received: {url}; the command that writes it resumes"
    if remote.UNFINISHED in found:
        raise object_stores.RemoteError(
            f"{what} must be uploaded whole. {remedy}"
        )
    if needs and needs not in found:
        raise object_stores.RemoteError(
            f"{what} must have {needs}, which is uploaded last. {remedy}"
        )


def _copy(source, folder, target, found):
    """Copies the files that are missing or have changed.

    Args:
        source: str, URL of a directory.
        folder: path, where the record is.
        target: path of the directory's copy.
        found: dict of names to `remote.Object`.
    """
    known = _read_record(folder)
    missing = [
        name
        for name, entry in found.items()
        if known.get(name) != [*entry] or _size(target / name) != entry.size
    ]
    outdated = [name for name in known if name not in found]
    if not missing and not outdated:
        return
    size = sum(found[name].size for name in missing)
    check_space(folder, size, f"a copy of {source}")
    for name in [*missing, *outdated]:
        (target / name).unlink(missing_ok=True)
    # Written before the files: a file that exists is then of this version.
    files.write_json(folder / _RECORD, {n: [*e] for n, e in found.items()})
    _log.info(
        "remote: copies %d of %d files of %s, %.1f MB, to %s",
        len(missing),
        len(found),
        source,
        size / 1e6,
        target,
    )
    remote.download(
        {target / name: f"{source}/{name}" for name in missing},
        sizes={target / name: found[name].size for name in missing},
        folder=folder,
    )


def _read_record(folder):
    """The objects that a copy was made from: `{name: [size, version]}`."""
    with contextlib.suppress(OSError, ValueError):
        record = json.loads((folder / _RECORD).read_text())
        return record if isinstance(record, dict) else {}
    return {}


def _size(path):
    """Bytes of a file, -1 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1

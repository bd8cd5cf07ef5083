"""Reads and writes the objects of gs://, s3:// and az:// paths.

An object store has no directories, and nothing in it can be renamed: an object
appears whole when its last byte has arrived, and several appear one by one.
Files that are mapped into memory or read at random are copied to local disk
first; see `remote_copies`. Output files are written on local disk and then
uploaded; see `remote_outputs`.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import typing
import uuid

from kd_keras.utils import object_stores, progress, scratch

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# A URL that has passed through `pathlib`.
_COLLAPSED = re.compile(f"({'|'.join(object_stores.KINDS)}):/(?=[^/])")
# Entries that change with the contents of an object, by file system.
_VERSIONS = ("ETag", "etag", "generation", "mtime", "last_modified", "created")
# Objects that are copied at once.
_THREADS = 16
_MB = 10**6
# Objects that show whether a place may be written; they are deleted at once.
_TRIAL = ".kd_keras-trial-"
# The list of files of an upload, as long as it lasts.
UNFINISHED = "unfinished_upload_of_kd_keras.json"


class Object(typing.NamedTuple):
    """An object of a store.

    Attributes:
        size: int, bytes.
        version: str, changes with the contents; empty if unknown.
    """

    size: int
    version: str


def is_remote(path):
    """Whether a path is of an object store: gs://, s3:// or az://."""
    return url_of(path) is not None


def url_of(path):
    """The URL of a path of an object store, without a last `/`; else None.

    Args:
        path: str or path. `pathlib` drops one of the two slashes, as users
            do; it is put back, unless there is such a local file.
    """
    text = os.fspath(path)
    if isinstance(text, bytes):
        return None
    if not os.path.lexists(text):
        text = _COLLAPSED.sub(r"\1://", text)
    found = _SCHEME.match(text)
    return (
        text.rstrip("/") if found and found[1] in object_stores.KINDS else None
    )


def check(path, what):
    """Raises a ValueError if a path has a scheme that is not understood.

    Args:
        path: str or path, local or remote.
        what: str, the option that gave it, for errors.
    """
    text = os.fspath(path)
    url = url_of(path)
    if url is not None and not url.partition("://")[2].partition("/")[0]:
        raise object_stores.RemoteError(
            f"{what} must name a bucket. Received: {text}"
        )
    found = isinstance(text, str) and _SCHEME.match(text)
    # A file may have any name.
    if found and url is None and not os.path.lexists(text):
        schemes = ", ".join(f"{kind}://" for kind in object_stores.KINDS)
        raise object_stores.RemoteError(
            f"{what} must be a local path or start with {schemes}. Received: "
            f"{text}; take a local path, and copy the files before or "
            "afterwards"
        )


def check_local(path, what):
    """Raises a ValueError unless a path is local.

    Args:
        path, what: as of `check`.
    """
    check(path, what)
    if is_remote(path):
        raise object_stores.RemoteError(
            f"{what} must be on local disk. Received: {url_of(path)}; take a "
            "local path, and copy the files before or afterwards"
        )


def name_of(url):
    """The last part of a URL."""
    return url.rpartition("/")[2]


def is_object(url):
    """Whether there is an object at this URL, not only objects below it."""
    with object_stores.explained(url):
        found = object_stores.contacted(url)
    return found.get("type") == "file"


def objects(url, *, deep=True):
    """Lists the objects at or below a URL.

    Args:
        url: str, as `url_of` returns it.
        deep: bool; False leaves out objects whose names have a `/`.

    Returns:
        dict of `Object`, by the part of the path after `url` and a `/`; the
        one at the URL itself by its last part.

    Raises:
        RemoteError: if the package is missing, the store cannot be reached or
            refuses, or the name of an object is no relative path.
    """
    with object_stores.explained(url):
        object_stores.contacted(url)
        system = object_stores.file_system(url)
        try:
            depth = None if deep else 1
            entries = system.find(url, maxdepth=depth, detail=True)
        except FileNotFoundError:
            entries = {}
    root = url.partition("://")[2]
    found = {}
    for path, entry in entries.items():
        path = path.lstrip("/")
        if entry.get("type") != "file" or path.endswith("/"):
            continue
        name = name_of(url) if path == root else path[len(root) + 1 :]
        _check_name(url, name)
        if not name_of(name).startswith(_TRIAL):
            versions = [entry[key] for key in _VERSIONS if entry.get(key)]
            version = str(versions[0]) if versions else ""
            found[name] = Object(int(entry["size"]), version)
    return found


def check_writable(url):
    """Writes an object below a URL and deletes it.

    Raises:
        RemoteError: if that is refused, or there is no such bucket.
    """
    trial = f"{url}/{_TRIAL}{uuid.uuid4().hex}"
    with object_stores.explained(url):
        object_stores.contacted(url)
        system = object_stores.file_system(url)
        system.pipe_file(trial, b"kd_keras")
        system.rm_file(trial)


def download(urls, *, sizes, folder):
    """Copies objects to local files, each whole or not at all.

    Args:
        urls: dict of local paths to URLs.
        sizes: dict of local paths to ints, bytes.
        folder: path of a local directory on the same disk, for files that
            are not whole yet.

    Raises:
        RemoteError: if an object does not exist or has another size.
    """
    bar = _Bar(sizes[path] for path in urls)

    def copy(path, temporary):
        url = urls[path]
        with object_stores.explained(url):
            object_stores.file_system(url).get_file(url, str(temporary))
        size = temporary.stat().st_size
        if size != sizes[path]:
            raise object_stores.RemoteError(
                f"an object must be of the size that its store lists. "
                f"Received: {url}, {size:,} of {sizes[path]:,} bytes; try again"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, path)
        return size

    with scratch.directory(folder) as place:
        temporary = (place / str(index) for index in range(len(urls)))
        for size in _in_threads(copy, list(zip(urls, temporary))):
            bar.add(size)


def upload(folder, url, names):
    """Copies local files to objects, each whole or not at all.

    Args:
        folder: path of a local directory.
        url: str, of the directory's objects.
        names: list of str, relative paths.

    Raises:
        RemoteError: if the store refuses one, or lists another size.
    """
    sizes = {n: (pathlib.Path(folder) / n).stat().st_size for n in names}
    bar = _Bar(sizes.values())

    def copy(name):
        target = f"{url}/{name}"
        with object_stores.explained(target):
            system = object_stores.file_system(target)
            system.put_file(str(pathlib.Path(folder) / name), target)
            system.invalidate_cache()
            size = system.info(target)["size"]
        if size != sizes[name]:
            raise object_stores.RemoteError(
                "an object must be of the size of its file. Received: "
                f"{target}, {size:,} of {sizes[name]:,} bytes; try again"
            )
        return size

    for size in _in_threads(copy, [(name,) for name in names]):
        bar.add(size)


def delete(url, names):
    """Deletes objects.

    Args:
        url: str.
        names: list of str, relative paths; they need not exist.
    """
    for name in names:
        with (
            object_stores.explained(f"{url}/{name}"),
            contextlib.suppress(FileNotFoundError),
        ):
            object_stores.file_system(url).rm_file(f"{url}/{name}")


def read(url, name):
    """Reads a small object: bytes, or None if there is none."""
    with object_stores.explained(f"{url}/{name}"):
        try:
            return object_stores.file_system(url).cat_file(f"{url}/{name}")
        except FileNotFoundError:
            return None


def write_text(url, name, text):
    """Writes a small object, whole or not at all."""
    with object_stores.explained(f"{url}/{name}"):
        object_stores.file_system(url).pipe_file(f"{url}/{name}", text.encode())


def _check_name(url, name):
    """Raises an error for a name that is no path below a directory."""
    if {"", ".", ".."} & {*name.split("/")} or "\0" in name:
        raise object_stores.RemoteError(
            "objects must have names that are relative paths. Received: "
            f"{url} with {name!r}; remove or rename it"
        )


def _in_threads(work, tasks):
    """Yields the results of `work(*task)` as they come, in any order."""
    pool = concurrent.futures.ThreadPoolExecutor(_THREADS)
    try:
        futures = [pool.submit(work, *task) for task in tasks]
        for future in concurrent.futures.as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


class _Bar:
    """Progress in whole megabytes.

    Args:
        sizes: ints, bytes.
    """

    def __init__(self, sizes):
        self._left = sum(sizes)
        self._total = max(self._left // _MB, 1)
        self._bar = progress.bar(self._total, "MB")

    def add(self, size):
        self._left -= size
        self._bar.update(self._total - -(-self._left // _MB))

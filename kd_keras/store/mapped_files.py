"""The files of a store, mapped into memory while they are used."""

import collections
import mmap
import pathlib
import threading
import weakref

from kd_keras.store import records
from kd_keras.utils import digests

try:
    import resource
except ImportError:
    # Windows, where few files are open at once in any case.
    resource = None

# Most files that are mapped at once, of all stores.
_MOST_FILES = 4096
# Bytes after which a store releases the pages of its mapped files. Until then
# the pages count as memory of this process.
_BYTES_BEFORE_RELEASE = 2**28
# The system maps the pages around one that is read, too.
_BYTES_AROUND = 2**16
_REMEDY = "the same `kd-keras label` writes it again"


class MappedFiles:
    """The arrays in a store's files; the least recently used are closed.

    A file is compared with its checksum when it is first used. Several
    threads may read at once.

    Args:
        path: path of the store.
        checksums: dict of names of files to their SHA-256, or None to trust
            the files.
    """

    _all = weakref.WeakSet()
    # One lock for all stores, which share the limit of open files.
    _lock = threading.Lock()

    def __init__(self, path, checksums=None):
        self._path = pathlib.Path(path)
        self._checksums = checksums
        self._mapped = collections.OrderedDict()
        self._checked = set()
        self._checking = collections.defaultdict(threading.Lock)
        self._bytes_read = 0
        with self._lock:
            self._all.add(self)

    def array(self, key, describe):
        """The array in a file, mapped into memory.

        Args:
            key: hashable, identifies the file in this object.
            describe: function of the key that returns the file's name, and
                the shape and dtype that its array must have. Called if the
                file is not mapped now.

        Returns:
            Array that reads from the file.

        Raises:
            ValueError: at the first use, if the file is missing, differs from
                its checksum or holds another array.
        """
        try:
            # Without the lock, which would cost more than the rest.
            self._mapped.move_to_end(key)
            return self._mapped[key][0]
        except KeyError:
            return self._map(key, *describe(key))

    def _map(self, key, name, shape, dtype):
        if name not in self._checked:
            self._check_once(name, shape, dtype)
        try:
            mapped = records.map_array(self._path / name, shape, dtype)
        except (OSError, ValueError) as error:
            reason = f"cannot be read ({error})"
            raise damaged(self._path / name, reason) from error
        with self._lock:
            self._mapped[key] = mapped
            self._close_some()
        return mapped[0]

    def release_memory(self, rows, row_bytes):
        """Counts the rows that were read, and releases their memory in time.

        Args:
            rows: int, how many rows were read.
            row_bytes: int, bytes of a row.
        """
        with self._lock:
            self._bytes_read += rows * (row_bytes + _BYTES_AROUND)
            if self._bytes_read < _BYTES_BEFORE_RELEASE:
                return
            self._bytes_read = 0
            mapped = list(self._mapped.values())
        # Windows has no madvise.
        if hasattr(mmap, "MADV_DONTNEED"):
            for _, memory in mapped:
                memory.madvise(mmap.MADV_DONTNEED)

    def _check_once(self, name, shape, dtype):
        with self._lock:
            checking = self._checking[name]
        with checking:
            if name in self._checked:
                return
            self._check(name, shape, dtype)
            self._checked.add(name)
        with self._lock:
            self._checking.pop(name, None)

    def _check(self, name, shape, dtype):
        path = self._path / name
        if not path.exists():
            raise damaged(path, "is missing")
        if self._checksums is not None:
            digest = digests.sha256_of_file(path)
            if digest != self._checksums.get(name):
                raise damaged(
                    path,
                    "is damaged (its SHA-256 differs from the manifest's)",
                )
        records.check_array(path, shape, dtype)

    def _close_some(self):
        most = _most_files()
        while sum(len(files._mapped) for files in self._all) > most:
            largest = max(self._all, key=lambda files: len(files._mapped))
            # Closed as soon as no thread reads from it.
            largest._mapped.popitem(last=False)


def damaged(path, reason):
    """Returns the ValueError about a damaged file of a store."""
    return ValueError(
        "a logit store's files must be as they were written. Received: "
        f"{path}, which {reason}; {_REMEDY}"
    )


def _most_files():
    """Limit of mapped files: at most a quarter of the limit of open files."""
    if resource is None:
        return _MOST_FILES
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return _MOST_FILES
    return max(min(_MOST_FILES, allowed // 4), 1)

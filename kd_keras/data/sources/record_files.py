"""Records of ArrayRecord files, read by their number.

A record is a `tf.train.Example` with an encoded image and, with labels, a
class number.
"""

import bisect
import concurrent.futures
import contextlib
import functools
import itertools
import resource
import threading

import numpy as np
import platformdirs
import tensorflow as tf

from kd_keras.utils import digests, file_digests, files, progress

# Files that are opened at once; a large set has a thousand.
_THREADS = 16
# Files that a process has open besides the records.
_OTHER_FILES = 500
# Records that are read at once for their labels.
_BATCH = 256
# Fewer are read without a progress bar.
_BAR_FROM_RECORDS = 20_000


class Records:
    """The records of some files, numbered through from 0.

    Several threads may read at once.

    Args:
        paths: list of str, in order.
        contents: list of str, SHA-256 of other files with the same records,
            to use instead of the SHA-256 of these files.
        labels: dict of features to int64 arrays `(n,)`, as far as they are
            stored separately.

    Raises:
        ValueError: if a file is missing, cut short or no ArrayRecord file.
    """

    def __init__(self, paths, *, contents=None, labels=None):
        self.paths = [str(path) for path in paths]
        self._labels = labels or {}
        self._contents = contents
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            counts = list(pool.map(_num_records, self.paths))
        self._ends = list(itertools.accumulate(counts))
        self._counts = counts
        self._lock = threading.Lock()
        self._source = None

    def __len__(self):
        return self._ends[-1] if self._ends else 0

    def read(self, ids):
        """Reads records.

        Args:
            ids: int array `(n,)`.

        Returns:
            List of n bytes.

        Raises:
            ValueError: if a record is damaged or its file has changed.
        """
        source = self._opened()
        ids = np.asarray(ids).tolist()
        try:
            return source.__getitems__(ids)
        except RuntimeError as error:
            raise self._damage(ids, error) from error

    def name(self, i):
        """Names a record for a message: `record 17 of FILE`."""
        file = bisect.bisect_right(self._ends, i)
        first = self._ends[file] - self._counts[file]
        return f"record {i - first} of {self.paths[file]}"

    def labels(self, key):
        """Reads the labels of all records, without decoding an image.

        They are kept in the user's cache directory, by the SHA-256 of the
        files.

        Args:
            key: str, the feature that is the label.

        Returns:
            int64 array `(n,)`.

        Raises:
            ValueError: if a record has no such number.
        """
        if key in self._labels:
            return self._labels[key]
        name = digests.sha256_of_text(f"{key} {self.digest}")
        path = platformdirs.user_cache_path("kd_keras") / f"labels-{name}.npy"
        with contextlib.suppress(OSError, ValueError, EOFError):
            labels = np.load(path, allow_pickle=False)
            if labels.shape == (len(self),) and labels.dtype == np.int64:
                return labels
        labels = self._read_labels(key)
        # Without a cache, they are read again.
        with contextlib.suppress(OSError), files.replacing_file(path) as new:
            np.save(new, labels)
        return labels

    @functools.cached_property
    def digest(self):
        """SHA-256 of the contents of all files."""
        contents = self._contents or file_digests.sha256_of_files(self.paths)
        return digests.sha256_of_text("\n".join(contents))

    def _read_labels(self, key):
        count = len(self)
        silent = count < _BAR_FROM_RECORDS
        bar = progress.bar(count, "label", verbose=0 if silent else None)
        labels = np.empty(count, np.int64)
        for first in range(0, count, _BATCH):
            ids = range(first, min(first + _BATCH, count))
            labels[first : ids.stop] = labels_of(self, key, ids)
            bar.add(len(ids))
        return labels

    def _opened(self):
        """The library's reader; each process opens its own, when it reads."""
        with self._lock:
            if self._source is None:
                from array_record.python import array_record_data_source

                _allow_open_files(len(self.paths))
                # With the counts, to open no file a second time.
                counted = zip(self.paths, self._counts)
                ranges = [f"{path}[0:{count}]" for path, count in counted]
                self._source = array_record_data_source.ArrayRecordDataSource(
                    ranges
                )
            return self._source

    def _damage(self, ids, error):
        """The error about the first record that cannot be read."""
        for i in ids:
            try:
                self._source[i]
            except RuntimeError:
                return _damaged(self.name(i), error)
        return _damaged(self.name(ids[0]), error)


def parse(serialized, key, dtype):
    """Reads a feature of records, also in a graph.

    Args:
        serialized: string tensor `(n,)`, `tf.train.Example` each.
        key: str.
        dtype: TensorFlow dtype, string or int64.

    Returns:
        Tensor `(n,)`.
    """
    feature = {key: tf.io.FixedLenFeature((), dtype)}
    return tf.io.parse_example(serialized, feature)[key]


def labels_of(records, key, ids):
    """Reads the labels of some records, without decoding an image.

    Args:
        records: `Records`, or an object with such a method `read`.
        key: str, the feature that is the label.
        ids: ints `(n,)`.

    Returns:
        int64 array `(n,)`.

    Raises:
        ValueError: if a record has no such number.
    """
    try:
        return parse(as_tensor(records.read(ids)), key, tf.int64).numpy()
    except tf.errors.OpError as error:
        # TensorFlow puts the node of its graph before the message.
        reason = error.message.splitlines()[0].rpartition("}} ")[2]
        raise ValueError(
            f"every record must be a tf.train.Example with a number {key!r}. "
            f"Received: {records.name(ids[0])} or one after it ({reason})"
        ) from error


def as_tensor(contents):
    """Converts a list of bytes to a string tensor `(n,)`."""
    return tf.constant(contents, tf.string, (len(contents),))


def _allow_open_files(count):
    """Lets this process open `count` files besides its other ones.

    Raises:
        ValueError: if the system does not allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ValueError(
            f"{wanted} files must be allowed to be open at once, to read "
            f"{count} record files. Received: a limit of {hard}; raise it "
            "(ulimit -n), or write fewer and larger files"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _num_records(path):
    from array_record.python import array_record_module

    try:
        reader = array_record_module.ArrayRecordReader(path)
        count = reader.num_records()
        reader.close()
        return count
    except RuntimeError as error:
        raise _damaged(path, error) from error


def _damaged(what, error):
    reason = str(error).split(";")[0]
    return ValueError(
        "a record file must be a whole ArrayRecord file. Received one that "
        f"cannot be read: {what} ({reason}); fetch or write it again"
    )

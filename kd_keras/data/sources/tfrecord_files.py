"""Records of TFRecord files, which can only be read from their start."""

import functools

import tensorflow as tf

from kd_keras.data.sources import record_files
from kd_keras.utils import digests, file_digests

_BATCH = 256


def batches(path):
    """Yields the records of a file: string tensors `(n,)`.

    Args:
        path: str.

    Raises:
        ValueError: if the file is missing, cut short or damaged.
    """
    try:
        yield from tf.data.TFRecordDataset(path).batch(_BATCH).prefetch(2)
    except tf.errors.OpError as error:
        # TensorFlow puts the node of its graph before the message.
        reason = error.message.splitlines()[0].rpartition("}} ")[2]
        raise ValueError(
            "a prepared set's files must be as TensorFlow Datasets wrote "
            f"them. Received: {path} ({reason}); prepare it again"
        ) from error


class Loaded:
    """The records of some files, in memory, numbered through from 0.

    It has the methods of `record_files.Records`.

    Args:
        paths: list of str, in order.

    Raises:
        ValueError: as `batches`.
    """

    def __init__(self, paths):
        self._paths = paths
        self._records = [
            record
            for path in paths
            for batch in batches(path)
            for record in batch.numpy()
        ]

    def __len__(self):
        return len(self._records)

    def read(self, ids):
        """Selects records: list of bytes."""
        return [self._records[i] for i in ids]

    def labels(self, key):
        """The labels of all records: int64 array `(n,)`."""
        return record_files.labels_of(self, key, range(len(self)))

    def name(self, i):
        """Names a record for a message."""
        return f"record {i} of {self._paths[0]}" + (
            " and the files after it" if len(self._paths) > 1 else ""
        )

    @functools.cached_property
    def digest(self):
        """SHA-256 of the contents of all files."""
        contents = file_digests.sha256_of_files(self._paths)
        return digests.sha256_of_text("\n".join(contents))

"""Reads and decodes images that are stored in records or rows."""

import numpy as np
import tensorflow as tf

from kd_keras.data import (
    datasets,
    decoding,
    image_files,
    python_ops,
    readers,
)
from kd_keras.data.sources import images, official_splits, record_files
from kd_keras.utils import progress

_BATCH = 256
# Fewer headers are read without a progress bar.
_BAR_FROM_IMAGES = 20_000


class EncodedRecords(readers.EncodedReader):
    """Images of records that are read by number.

    Args:
        records: an object with `len`, `read(ids)`, which returns a list of
            bytes, `name(i)` and `digest`, the SHA-256 of all records.
        decode: `decoding.Decoding`.
        parse: function of the records, a string tensor `(n,)`, that returns
            the encoded images in them; by default they are the records.
    """

    def __init__(self, records, decode, parse=tf.identity):
        super().__init__(len(records), decode)
        self._records = records
        self._parse = parse

    def encoded(self, ids):
        """The encoded images `(n,)` of ids `(n,)`; in a graph, too."""
        records = python_ops.numpy_function(self._read, [ids], tf.string)
        return self._parse(tf.ensure_shape(records, (None,)))

    def name(self, example_id):
        """Names an image for a message."""
        return self._records.name(int(example_id))

    def contents_digest(self, ids):
        """SHA-256 of all records; the ids are in the fingerprint, too."""
        return self._records.digest

    def _read(self, ids):
        # A replica may have no row of a batch; ArrayRecord cannot read 0 rows.
        records = self._records.read(ids) if len(ids) else []
        # An array of NumPy's own bytes would lose zeros at the end.
        return np.array(records, object)


def examples(reader, labels, *, num_classes, fields):
    """Makes examples of all images of a reader, in memory if they fit."""
    return images.in_memory_if_small(
        datasets.Examples(reader, labels, num_classes=num_classes),
        fields.memory_limit_mb,
    )


def dataset(
    records, labels, *, fields, name, source, class_names, parse=tf.identity
):
    """Makes a dataset of records.

    Args:
        records: dict of splits to records; see `EncodedRecords`.
        labels: dict of splits to int arrays `(n,)`, or None for none. Where
            all are -1, they are withheld.
        fields: `config.data`.
        name, source, class_names: as of `datasets.Dataset`.
        parse: as of `EncodedRecords`.

    Returns:
        `datasets.Dataset`.

    Raises:
        ValueError: if there is no train split, or images have several sizes.
    """
    decode = decoding.of(fields, _image_shape(records, parse, fields))

    def has_labels(split):
        return labels[split] is not None and (labels[split] != -1).any()

    def read(split, labelled):
        return examples(
            EncodedRecords(records[split], decode, parse),
            labels[split] if labelled else None,
            num_classes=class_names and len(class_names),
            fields=fields,
        )

    parts = official_splits.choose(
        records, has_labels=has_labels, read=read, fields=fields, what=name
    )
    return datasets.Dataset(
        name=name, source=source, class_names=class_names, **parts
    )


def _image_shape(records, parse, fields):
    """The shape that images will have: `(height, width, channels)`.

    Without `fields.image_size`, the headers of all images are read.
    """
    if fields.image_size:
        return decoding.shape_of(fields, (None, None, fields.channels))
    first = None
    for split in records.values():
        for i, header in _headers(split, parse):
            size = header.height, header.width
            first = first or size
            if size != first:
                raise ValueError(
                    f"images must have one size ({first[0]} x {first[1]} like "
                    "the first), or data.image_size must be set. Received: "
                    f"{size[0]} x {size[1]} in {split.name(i)}"
                )
    return *first, fields.channels


def _headers(records, parse):
    """Yields `(number, image_files.Header)` of all images."""
    count = len(records)
    silent = count < _BAR_FROM_IMAGES
    bar = progress.bar(count, "image", verbose=0 if silent else None)
    for first in range(0, count, _BATCH):
        ids = range(first, min(first + _BATCH, count))
        contents = parse(record_files.as_tensor(records.read(ids))).numpy()
        for i, image in zip(ids, contents):
            opened = image_files.open_contents(image, records.name(i))
            yield i, image_files.header_of(opened)
        bar.add(len(ids))

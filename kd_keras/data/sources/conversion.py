"""Converts TFRecord files of TensorFlow Datasets to ArrayRecord, once.

TFRecord files can only be read from their start; ArrayRecord files are read
by record number. The records themselves are copied as they are.
"""

import logging
import pathlib
import shutil

import numpy as np
import tensorflow as tf

from kd_keras.data.sources import record_files, tfrecord_files
from kd_keras.utils import file_digests, files, locks, manifests, progress
from kd_keras.utils import records as json_records

_log = logging.getLogger(__name__)

_WHAT = "a converted set"
_SOURCE = "source.json"
_SOURCE_FORM = {"tfrecord_files": [str], "label": (str, type(None))}
_LABELS = "labels.npy"
# An ArrayRecord file is at least that much larger than its records.
_SPARE_BYTES = 2**17


def convert(builder, split, label_key):
    """Converts a split, unless it is converted already.

    The folder `<split>-array_record` is written beside the TFRecord files,
    whole or not at all, by one process while others wait. It is written again
    if the TFRecord files have changed.

    Args:
        builder: `tfds.core.DatasetBuilder` of a set prepared as TFRecord.
        split: str.
        label_key: str, the feature whose values are stored as one array; or
            None for none.

    Returns:
        `record_files.Records`, with stored labels.

    Raises:
        ValueError: if a TFRecord file is damaged, the folder cannot be
            written, or the converted files are not as they were written.
    """
    folder = pathlib.Path(builder.data_dir) / f"{split}-array_record"
    paths = [str(path) for path in builder.info.splits[split].filepaths]
    sums = file_digests.sha256_of_files(paths)
    if _source(folder).get("tfrecord_files") != sums:
        with locks.waiting(folder.parent, part=folder.name):
            # Another process may have done it meanwhile.
            if _source(folder).get("tfrecord_files") != sums:
                source = {"tfrecord_files": sums, "label": label_key}
                count = builder.info.splits[split].num_examples
                _write(folder, paths, source, count)
    return _read(folder, sums)


def _source(folder):
    """The record of a converted folder: dict, empty if there is none."""
    if not (folder / _SOURCE).exists():
        return {}
    return json_records.read_json(
        folder / _SOURCE, _SOURCE_FORM, what=_WHAT, remedy=_remedy(folder)
    )


def _write(folder, paths, source, count):
    size = sum(pathlib.Path(path).stat().st_size for path in paths)
    _log.info(
        "converting %d records (%.0f MB) for random access, once: %s",
        count,
        size / 2**20,
        folder,
    )
    try:
        _check_space(folder, size + len(paths) * _SPARE_BYTES)
        with files.replacing_directory(folder) as new:
            _copy_all(paths, new, source, count)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            "the records of a set larger than data.memory_limit_mb are "
            "converted beside it, where there must be space and permission to "
            f"write. Received: {folder} ({error}); or prepare the set with "
            "file_format='array_record'"
        ) from error


def _copy_all(paths, new, source, count):
    """Writes the records of TFRecord files, and their labels, to a folder."""
    bar = progress.bar(count, "record")
    copied, labels = 0, []
    for path in paths:
        for batch in _copy(path, new):
            copied += len(batch)
            bar.add(len(batch))
            if source["label"]:
                labels.append(
                    record_files.parse(batch, source["label"], tf.int64)
                )
    if copied != count:
        raise ValueError(
            f"a prepared set must be complete ({count} records). Received: "
            f"{copied} in {paths[0]} and its siblings; prepare it again"
        )
    if labels:
        np.save(new / _LABELS, np.concatenate(labels))
    files.write_json(new / _SOURCE, source)


def _check_space(folder, needed):
    free = shutil.disk_usage(folder.parent).free
    if free < needed:
        raise OSError(
            f"{needed / 2**20:.0f} MB are needed and {free / 2**20:.0f} free"
        )


def _copy(path, new):
    """Copies the records of a TFRecord file; yields them, string tensors."""
    from array_record.python import array_record_module

    name = pathlib.Path(path).name.replace(".tfrecord", ".array_record")
    # Images are compressed already.
    writer = array_record_module.ArrayRecordWriter(
        str(new / name), "group_size:1,uncompressed"
    )
    for batch in tfrecord_files.batches(path):
        for record in batch.numpy():
            writer.write(record)
        yield batch
    writer.close()


def _read(folder, sums):
    """Opens a converted split: `record_files.Records`."""
    listed = manifests.read(folder)
    names = [name for name in sorted(listed) if ".array_record" in name]
    paths = [str(folder / name) for name in names]
    for path, found in zip(paths, file_digests.sha256_of_files(paths)):
        if found not in listed[pathlib.Path(path).name]:
            raise json_records.damaged(
                path,
                f"its SHA-256 is not the one in {manifests.NAME}",
                what=_WHAT,
                remedy=_remedy(folder),
            )
    labels = {}
    if key := _source(folder)["label"]:
        labels[key] = np.load(folder / _LABELS, allow_pickle=False)
    return record_files.Records(paths, contents=sums, labels=labels)


def _remedy(folder):
    return f"remove {folder} to have it converted again"

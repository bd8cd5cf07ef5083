"""TFRecord files of TensorFlow Datasets, converted once to ArrayRecord."""

import logging
import pathlib

import numpy as np
import pytest
import record_sets
import tensorflow as tf

from kd_keras.data.sources import conversion
from kd_keras.utils import locks

COUNT = 30
LABELS = np.arange(COUNT) % 4


@pytest.fixture
def builder(tmp_path, own_cache):
    images = np.arange(COUNT, dtype=np.uint8).reshape(-1, 1, 1, 1)
    images = np.broadcast_to(images, (COUNT, 4, 5, 3))
    return record_sets.prepare(tmp_path, {"train": (images, LABELS)})


def folder_of(builder):
    return pathlib.Path(builder.data_dir) / "train-array_record"


def records_of(builder):
    (path,) = builder.info.splits["train"].filepaths
    return [record.numpy() for record in tf.data.TFRecordDataset(str(path))]


@pytest.mark.slow
def test_records_and_labels_are_those_of_the_tfrecord_file(
    builder, monkeypatch
):
    records = conversion.convert(builder, "train", "label")
    before = records_of(builder)
    assert records.read(range(COUNT)) == before
    assert records.read([7, 29, 0, 7]) == [before[i] for i in (7, 29, 0, 7)]
    expected = [example["label"] for example in examples_of(builder)]
    assert records.labels("label").tolist() == expected
    # The labels are stored, so no record is read for them.
    monkeypatch.setattr(records, "read", None)
    assert records.labels("label").tolist() == expected


def examples_of(builder):
    return builder.as_dataset(split="train").as_numpy_iterator()


def test_it_is_converted_once(builder, monkeypatch):
    first = conversion.convert(builder, "train", "label")
    monkeypatch.setattr(conversion, "_write", None)
    again = conversion.convert(builder, "train", "label")
    assert again.digest == first.digest
    # The prepared files stay as they are, and are still found.
    assert builder.is_prepared()


def test_changed_tfrecord_files_are_converted_again(builder, tmp_path):
    first = conversion.convert(builder, "train", "label")
    (path,) = builder.info.splits["train"].filepaths
    kept = records_of(builder)[::-1]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in kept:
            writer.write(record)
    again = conversion.convert(builder, "train", "label")
    assert again.read(range(COUNT)) == kept
    assert again.digest != first.digest


def test_a_tfrecord_file_cut_short_is_named_and_nothing_is_left(builder):
    (path,) = builder.info.splits["train"].filepaths
    contents = pathlib.Path(path).read_bytes()
    before = sorted(pathlib.Path(builder.data_dir).iterdir())
    pathlib.Path(path).write_bytes(contents[: len(contents) // 2])
    with pytest.raises(ValueError, match=f"Received: {path}.*prepare it again"):
        conversion.convert(builder, "train", "label")
    # At the end of a record, a file looks whole.
    last = len(records_of_length(contents)[-1])
    pathlib.Path(path).write_bytes(contents[:-last])
    with pytest.raises(ValueError, match=f"{COUNT} records.*Received: 29 in"):
        conversion.convert(builder, "train", "label")
    assert sorted(pathlib.Path(builder.data_dir).iterdir()) == before


def records_of_length(contents):
    """Splits a TFRecord file: length, its checksum, data, their checksum."""
    found = []
    while contents:
        size = 12 + int.from_bytes(contents[:8], "little") + 4
        found.append(contents[:size])
        contents = contents[size:]
    return found


def test_a_conversion_that_was_stopped_is_started_afresh(builder, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(conversion.np, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            conversion.convert(builder, "train", "label")
    assert not folder_of(builder).exists()
    assert len(conversion.convert(builder, "train", "label")) == COUNT
    assert not list(pathlib.Path(builder.data_dir).glob(".kd_keras*"))


def test_a_second_process_waits_for_the_first(builder, caplog, monkeypatch):
    folder = folder_of(builder)
    acquired = locks.holding

    # The first attempt finds the lock held; the other process ends then.
    def held(*arguments, patience=0.0, **options):
        if not patience:
            raise locks.HeldError("held", "process 7")
        conversion._write(folder, *written)
        return acquired(*arguments, patience=patience, **options)

    (path,) = map(str, builder.info.splits["train"].filepaths)
    sums = conversion.file_digests.sha256_of_files([path])
    source = {"tfrecord_files": sums, "label": "label"}
    written = [path], source, COUNT
    monkeypatch.setattr(conversion.locks, "holding", held)
    with caplog.at_level(logging.INFO, logger="kd_keras"):
        assert len(conversion.convert(builder, "train", "label")) == COUNT
    assert "waiting for process 7" in caplog.text
    assert caplog.text.count("once") == 1


def test_files_of_others_are_not_replaced(builder):
    folder = folder_of(builder)
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="notes.txt"):
        conversion.convert(builder, "train", "label")
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_converted_file_that_has_changed_is_refused(builder):
    conversion.convert(builder, "train", "label")
    (path,) = folder_of(builder).glob("*.array_record*")
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(ValueError, match=f"{path} .*SHA-256.*remove"):
        conversion.convert(builder, "train", "label")


def test_too_little_space_is_said_before_anything_is_written(
    builder, monkeypatch
):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(conversion.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match="space.*train-array_record.*MB are"):
        conversion.convert(builder, "train", "label")
    assert not folder_of(builder).exists()

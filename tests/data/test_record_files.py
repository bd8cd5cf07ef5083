"""Records of ArrayRecord files by number."""

import concurrent.futures

import numpy as np
import pytest
import record_sets

from kd_keras.data.sources import record_files

LABELS = np.arange(90) % 7


@pytest.fixture
def paths(tmp_path):
    """Three files of 30 records, of bytes that are their number."""
    paths = [tmp_path / f"part[{i}].array_record" for i in range(3)]
    for i, path in enumerate(paths):
        numbers = range(30 * i, 30 * i + 30)
        images = [str(number).encode() + b"\0" for number in numbers]
        record_sets.write_records(path, images, LABELS[30 * i :])
    return [str(path) for path in paths]


def images_of(records, ids):
    parsed = record_files.parse(records.read(ids), "image", "string")
    return parsed.numpy().tolist()


def test_records_are_numbered_through_all_files(paths):
    records = record_files.Records(paths)
    assert len(records) == 90
    ids = [89, 0, 30, 29, 0]
    # Bytes of zero at the end stay.
    assert images_of(records, ids) == [
        b"89\0",
        b"0\0",
        b"30\0",
        b"29\0",
        b"0\0",
    ]
    assert records.name(29) == f"record 29 of {paths[0]}"
    assert records.name(30) == f"record 0 of {paths[1]}"


@pytest.mark.slow
def test_several_threads_read_at_once(paths):
    records = record_files.Records(paths)
    batches = np.random.default_rng(0).integers(0, 90, (40, 16))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(records.read, batches))
    assert found == [record_files.Records(paths).read(ids) for ids in batches]


def test_more_files_than_the_limit_of_a_process_are_read(paths, monkeypatch):
    soft, hard = 480, 1000
    changes = []
    monkeypatch.setattr(
        record_files.resource, "getrlimit", lambda kind: (soft, hard)
    )
    monkeypatch.setattr(
        record_files.resource,
        "setrlimit",
        lambda kind, limits: changes.append(limits),
    )
    assert len(record_files.Records(paths).read([0, 89])) == 2
    assert changes == [(503, 1000)]
    hard = 502
    with pytest.raises(ValueError, match="503 files .* a limit of 502"):
        record_files.Records(paths).read([0])


def test_labels_are_read_once(paths, own_cache, monkeypatch):
    records = record_files.Records(paths)
    np.testing.assert_array_equal(records.labels("label"), LABELS)
    monkeypatch.setattr(record_files, "labels_of", None)
    again = record_files.Records(paths)
    np.testing.assert_array_equal(again.labels("label"), LABELS)


def test_labels_of_changed_files_are_read_again(paths, own_cache):
    records = record_files.Records(paths)
    records.labels("label")
    images = [b"x"] * 30
    record_sets.write_records(paths[1], images, np.full(30, 5))
    changed = record_files.Records(paths).labels("label")
    assert changed[30:60].tolist() == [5] * 30
    np.testing.assert_array_equal(changed[60:], LABELS[60:])


def test_a_record_without_the_label_is_refused(paths, own_cache):
    records = record_files.Records(paths)
    with pytest.raises(ValueError, match="a number 'class'.*part.0"):
        records.labels("class")


@pytest.mark.parametrize("kept", [0, 1000, -1])
def test_a_file_cut_short_is_named(paths, kept):
    with open(paths[1], "rb+") as file:
        file.truncate(kept % 65_536)
    with pytest.raises(ValueError, match="whole ArrayRecord file.*part.1..arr"):
        record_files.Records(paths)


def test_a_missing_file_is_named(paths):
    with pytest.raises(ValueError, match="none.array_record"):
        record_files.Records([*paths, "none.array_record"])


def test_a_record_that_is_damaged_while_training_is_named(paths):
    records = record_files.Records(paths)
    with open(paths[2], "rb+") as file:
        file.seek(64)
        file.write(bytes(200))
    assert len(records.read([0, 59])) == 2
    with pytest.raises(ValueError, match=r"record 0 of .*part.2..arr.*again"):
        records.read([3, 60, 4])

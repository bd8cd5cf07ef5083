"""Files of stores that are opened when they are used, so many at once."""

import pathlib
import threading
import weakref

import numpy as np
import pytest

from kd_keras.store import mapped_files
from kd_keras.utils import digests

SHAPE, DTYPE = (4, 3), np.dtype("float32")


@pytest.fixture
def checksums(tmp_path):
    """The SHA-256 of ten files, each of its own number."""
    for number in range(10):
        np.save(tmp_path / f"{number}.npy", np.full(SHAPE, number, DTYPE))
    return {
        path.name: digests.sha256_of_file(path) for path in tmp_path.iterdir()
    }


def read(files, number):
    return files.array(number, lambda key: (f"{key}.npy", SHAPE, DTYPE))


def mapped_now(folder):
    """The names of the files in a folder that this process has mapped."""
    maps = pathlib.Path("/proc/self/maps").read_text()
    return {
        pathlib.Path(line.split(maxsplit=5)[-1]).name
        for line in maps.splitlines()
        if str(folder) in line
    }


@pytest.mark.skipif(
    not pathlib.Path("/proc/self/maps").exists(), reason="needs Linux's /proc"
)
def test_only_so_many_files_of_all_stores_are_open(
    tmp_path, checksums, monkeypatch
):
    monkeypatch.setattr(mapped_files, "_MOST_FILES", 3)
    # Without stores that other tests have left open.
    monkeypatch.setattr(mapped_files.MappedFiles, "_all", weakref.WeakSet())
    first, second = (
        mapped_files.MappedFiles(tmp_path, checksums) for _ in range(2)
    )
    assert not mapped_now(tmp_path)
    for number in range(10):
        assert (read(first, number) == number).all()
    assert mapped_now(tmp_path) == {"7.npy", "8.npy", "9.npy"}
    read(first, 7)
    read(first, 1)
    # The least recently used files are closed, also another store's.
    assert mapped_now(tmp_path) == {"7.npy", "9.npy", "1.npy"}
    read(second, 2)
    read(second, 3)
    assert len(mapped_now(tmp_path)) == 3
    # A file that somebody reads from stays open.
    held = read(second, 4)
    for number in range(10):
        read(second, number)
    assert (held == 4).all()
    del first, second, held
    assert not mapped_now(tmp_path)


@pytest.mark.parametrize(
    "allowed, expected",
    [(1024, 256), (256, 64), (10**6, 4096), (2, 1), (-1, 4096)],
)
def test_few_files_are_open_where_the_system_allows_few(
    monkeypatch, allowed, expected
):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "RLIM_INFINITY", -1)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed, 0))
    assert mapped_files._most_files() == expected


def test_a_file_is_checked_once_by_many_threads(
    tmp_path, checksums, monkeypatch
):
    monkeypatch.setattr(mapped_files, "_MOST_FILES", 2)
    checked, digest = [], digests.sha256_of_file

    def counted(path):
        checked.append(path.name)
        return digest(path)

    monkeypatch.setattr(digests, "sha256_of_file", counted)
    files = mapped_files.MappedFiles(tmp_path, checksums)
    wrong, start = [], threading.Barrier(8)

    def work(seed):
        start.wait()
        for number in np.random.default_rng(seed).integers(0, 10, 200):
            if not (read(files, number) == number).all():
                wrong.append(number)
            files.release_memory(1000, 2**20)

    threads = [threading.Thread(target=work, args=[i]) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sorted(checked) == sorted(checksums)


def test_files_that_are_not_as_written_are_named(tmp_path, checksums):
    other = tmp_path / "3.npy"
    np.save(other, np.ones((3, 4), DTYPE))
    files = mapped_files.MappedFiles(tmp_path, checksums)
    with pytest.raises(ValueError, match="3.npy, which is damaged .its SHA"):
        read(files, 3)
    with pytest.raises(ValueError, match="x.npy, which is missing"):
        read(files, "x")
    trusting = mapped_files.MappedFiles(tmp_path)
    with pytest.raises(ValueError, match=r"must be \(4, 3\) of float32.*3, 4"):
        read(trusting, 3)
    other.write_bytes(b"")
    with pytest.raises(ValueError, match=r"must be \(4, 3\) of float32"):
        read(trusting, 3)
    # A file that is damaged after it was checked.
    assert (read(files, 5) == 5).all()
    files._mapped.clear()
    (tmp_path / "5.npy").write_bytes(b"short")
    with pytest.raises(ValueError, match="5.npy, which cannot be read"):
        read(files, 5)

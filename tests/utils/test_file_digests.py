"""Files are read again only if they have changed."""

import os
import time

import numpy as np
import pytest

from kd_keras.utils import digests, file_cache, file_digests, path_lists


@pytest.fixture
def read(monkeypatch, own_cache):
    """A list of the files that are read, with a cache of the test's own."""
    # Files of the test count as old at once.
    monkeypatch.setattr(file_cache, "_SETTLED_SECONDS", -1)
    original, paths = digests.sha256_of_file, []

    def counting(path):
        paths.append(os.fsdecode(os.path.basename(path)))
        return original(path)

    monkeypatch.setattr(file_digests.digests, "sha256_of_file", counting)
    return paths


@pytest.fixture
def paths(tmp_path):
    paths = [tmp_path / "a" / "1", tmp_path / "a" / "2", tmp_path / "b" / "1"]
    for number, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"contents {number}")
    return [str(path) for path in paths]


def digests_of(paths, place):
    listed = path_lists.PathList.of(paths)
    return file_digests.digests_of_files(listed, str(place))


def test_digests_are_those_of_the_contents_in_order(read, paths, tmp_path):
    expected = [digests.sha256(f"contents {i}".encode()) for i in (2, 0, 0)]
    asked = [paths[2], paths[0], paths[0]]
    assert file_digests.sha256_of_files(asked) == expected
    assert file_digests.sha256_of_files(asked) == expected
    rows = digests_of(asked, tmp_path / "b")
    assert [row.tobytes().hex() for row in rows] == expected
    assert set(read) == {"1"} and len(read) <= 3
    # Other files of a folder do not push these out of the cache.
    read.clear()
    digests_of([*paths, paths[1]], tmp_path / "b")
    digests_of(asked, tmp_path / "b")
    assert set(read) == {"2"}


def test_a_change_is_noticed_even_if_size_and_time_are_kept(read, paths):
    first = file_digests.sha256_of_files(paths)
    stat = os.stat(paths[1])
    time.sleep(0.02)  # The clock of a file system is coarse.
    with open(paths[1], "w") as file:
        file.write("CONTENTS 1")
    os.utime(paths[1], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    read.clear()
    second = file_digests.sha256_of_files(paths)
    assert read == ["2"]
    assert second[1] == digests.sha256(b"CONTENTS 1")
    assert [first[0], first[2]] == [second[0], second[2]]


def test_a_file_that_has_just_changed_is_not_trusted(read, paths, monkeypatch):
    monkeypatch.setattr(file_cache, "_SETTLED_SECONDS", 60)
    file_digests.sha256_of_files(paths)
    file_digests.sha256_of_files(paths)
    assert len(read) == 6


def test_what_was_read_before_an_error_is_kept(read, paths):
    with pytest.raises(FileNotFoundError):
        file_digests.sha256_of_files([*paths, f"{paths[0]}-missing"])
    read.clear()
    file_digests.sha256_of_files(paths)
    assert not read


def test_values_of_missing_files_are_not_kept(read, paths):
    missing = path_lists.PathList.of([f"{path}-missing" for path in paths])
    computed = []

    def compute(path):
        computed.append(path)
        return b"x"

    for _ in range(2):
        file_cache.values(missing, compute, kind="x", width=1, place="here")
    assert len(computed) == 6


def empty_cache(path):
    path.write_bytes(b"")


def text_cache(path):
    path.write_text('{"files": 3}')


def cut_cache(path):
    path.write_bytes(path.read_bytes()[:-40])


def pickled_cache(path):
    with open(path, "wb") as file:
        np.savez(file, keys=np.array([{}]), values=np.array([{}]))


def unsorted_cache(path):
    keys = np.array([b"b" * 16, b"a" * 16])
    with open(path, "wb") as file:
        np.savez(file, keys=keys, values=np.zeros((2, 32), np.uint8))


@pytest.mark.parametrize(
    "damage",
    [empty_cache, text_cache, cut_cache, pickled_cache, unsorted_cache],
)
def test_a_damaged_or_absent_cache_costs_time_only(
    read, paths, own_cache, damage
):
    expected = file_digests.sha256_of_files(paths)
    (cache,) = own_cache.iterdir()
    damage(cache)
    assert file_digests.sha256_of_files(paths) == expected
    assert len(read) == 6
    cache.unlink()
    own_cache.rmdir()
    own_cache.write_text("a file where the cache should be")
    assert file_digests.sha256_of_files(paths) == expected

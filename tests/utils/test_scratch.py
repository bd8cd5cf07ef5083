"""Temporary directories: removed at the end, or by a later process."""

import fcntl
import json
import os
import resource
import shutil
import time

import numpy as np
import pytest

from kd_keras.utils import processes, scratch


def test_scratch_of_ended_processes_is_cleared(tmp_path):
    path = tmp_path / "[a]*" / "file"
    path.parent.mkdir()

    def left_by(name, **changes):
        owner = path.parent / f".kd_keras-new-{name}" / "owner.json"
        owner.parent.mkdir()
        owner.write_text(json.dumps({**processes.this_process(), **changes}))
        return owner.parent

    def aged(folder, name=""):
        old = time.time() - 2 * 3600
        os.utime(folder / name, (old, old))
        return folder

    empty = path.parent / ".kd_keras-new-empty"
    empty.mkdir()
    unnamed = path.parent / ".kd_keras-new-unnamed"
    unnamed.mkdir()
    (unnamed / "owner.json").touch()
    left = [
        left_by("ended"),
        left_by("other_container", host="gpu-1", process=1),
        aged(left_by("before_the_last_boot", boot="other"), "owner.json"),
        empty,
        unnamed,
    ]
    foreign = path.parent / ".kd_keras-new-foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").touch()
    with scratch.directory(path.parent) as running:
        kept = [
            running,
            left_by("other_machine", host="gpu-1", boot="other"),
            foreign,
        ]
        scratch.clear(path.parent)
        scratch.clear(path)  # where nothing is
        assert not any(folder.exists() for folder in left)
        assert all(folder.exists() for folder in kept)
    assert not running.exists()


def test_a_directory_that_another_process_clears_is_made_again(
    tmp_path, monkeypatch
):
    flock, claimed = fcntl.flock, []

    def flock_after_another(file, operation):
        if not claimed:
            # It is between its opening of the owner's file and its lock.
            claimed.extend(tmp_path.iterdir())
            shutil.rmtree(claimed[0])
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock_after_another)
    with scratch.directory(tmp_path) as made:
        assert [made] == list(tmp_path.iterdir()) != claimed


def test_another_path_of_a_directory_has_no_special_characters(tmp_path):
    folder = tmp_path / "[a]*"
    folder.mkdir()
    with scratch.literal(folder) as link:
        (link / "file").touch()
        assert not set(str(link)) & set("[]*?\\")
    assert [path.name for path in folder.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(bytes(10_000)),
        lambda path: np.save(path, np.zeros(10_000)),
        # NumPy's for arrays of 16 MiB or more.
        lambda path: fail(OSError("Not enough free space to write 9 bytes")),
    ],
)
def test_the_error_of_a_full_disc_names_the_directory(tmp_path, write):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (
        pytest.raises(OSError, match="too large|may be full") as caught,
        scratch.writing(tmp_path / "store") as folder,
    ):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            write(folder / "file.npy")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(tmp_path / "store")
    assert not list((tmp_path / "store").iterdir())


def test_other_errors_are_not_those_of_a_full_disc(tmp_path):
    with (
        pytest.raises(ConnectionRefusedError) as caught,
        scratch.writing(tmp_path),
    ):
        raise ConnectionRefusedError(111, "refused")
    assert caught.value.filename is None


def fail(error):
    raise error

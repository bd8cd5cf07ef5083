"""Locks: one holder at a time, free when it ends, nothing left behind."""

import contextlib
import errno
import fcntl
import json
import logging
import os
import pathlib
import signal
import subprocess
import sys
import threading

import commands
import pytest

from kd_keras.utils import locks, processes

HOLDER = """
import sys, time
from kd_keras.utils import locks
with locks.holding(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path / "run"`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "run"],
        stdout=subprocess.PIPE,
        env=commands.environment(),
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def lock_file(directory):
    (path,) = (p for p in directory.iterdir() if locks.is_lock(p))
    return path


def write_name(directory, **changes):
    """The lock file of a holder that has ended."""
    directory.mkdir()
    name = {**processes.this_process(), "since": "yesterday", **changes}
    with locks.holding(directory):
        path = lock_file(directory)
    path.write_text(json.dumps(name))
    return path


def test_a_lock_names_its_holder_and_is_free_when_that_is_killed(
    tmp_path, holder
):
    directory = tmp_path / "run"
    host = processes.this_process()["host"]
    with (
        pytest.raises(
            ValueError,
            match=f"run must be used by one process at a time. Received: it is "
            f"held by process {holder.pid} on host {host} since 20",
        ),
        locks.holding(directory),
    ):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock_file(directory).exists()
    with locks.holding(directory):
        pass
    assert not list(directory.iterdir())


def test_a_holder_that_does_not_move_keeps_the_lock(tmp_path, holder):
    # For example a process on another machine with the same host name.
    holder.send_signal(signal.SIGSTOP)
    path = lock_file(tmp_path / "run")
    path.write_text("")
    with (
        pytest.raises(ValueError, match="held by another process; wait"),
        locks.holding(tmp_path / "run"),
    ):
        pass


def test_directories_that_a_lock_made_are_removed_unless_they_are_used(
    tmp_path,
):
    with locks.holding(tmp_path / "work" / "run"):
        assert lock_file(tmp_path / "work" / "run").exists()
    assert not list(tmp_path.iterdir())
    with locks.holding(tmp_path / "work" / "run"):
        (tmp_path / "work" / "config.json").touch()
    assert [x.name for x in tmp_path.rglob("*")] == ["work", "config.json"]


def test_parts_of_a_directory_are_locked_separately(tmp_path):
    with locks.holding(tmp_path, part="0-of-2"):
        with locks.holding(tmp_path, part="1-of-2"):
            pass
        with (
            pytest.raises(ValueError, match="one process"),
            locks.holding(tmp_path, part="0-of-2"),
        ):
            pass


def test_a_directory_that_another_process_removes_is_made_again(
    tmp_path, monkeypatch
):
    make, failed = os.mkdir, []

    def mkdir(path, *arguments):
        if not failed:
            # It was there, and is not any more.
            failed.append(path)
            raise FileExistsError(path)
        make(path, *arguments)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with locks.holding(tmp_path / "run"):
        assert failed and (tmp_path / "run").is_dir()


def test_a_patient_process_gets_the_lock_when_it_is_free(tmp_path):
    # Each of them removes its file: the others must not lock the removed one.
    inside, most = [], []

    def hold():
        with locks.holding(tmp_path / "run", patience=30):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_file_that_its_holder_has_just_removed_is_no_lock(
    tmp_path, monkeypatch
):
    flock, removed = fcntl.flock, []

    def flock_after_removal(file, operation):
        if not removed:
            removed.append(lock_file(tmp_path))
            removed[0].unlink()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock_after_removal)
    with locks.holding(tmp_path):
        assert removed == [lock_file(tmp_path)]


@pytest.mark.parametrize("name", ["run", "run/teacher"])
def test_a_file_in_the_way_is_refused(tmp_path, name):
    (tmp_path / "run").write_text("years of work")
    with (
        pytest.raises(ValueError, match=f"Received: .*{name}, where a file"),
        locks.holding(tmp_path / name),
    ):
        pass
    assert (tmp_path / "run").read_text() == "years of work"


@pytest.mark.parametrize("name", ["run", "run/teacher"])
def test_a_link_to_nothing_is_named(tmp_path, name):
    (tmp_path / "run").symlink_to("gone")
    with (
        pytest.raises(ValueError, match="/run is a link to gone, which does"),
        locks.holding(tmp_path / name),
    ):
        pass
    assert (tmp_path / "run").is_symlink()


def test_taking_over_from_another_machine_is_said(tmp_path, caplog):
    caplog.set_level(logging.INFO, "kd_keras")
    write_name(tmp_path / "here")
    write_name(tmp_path / "there", host="gpu-1", boot="other", process=7)
    for name in ("here", "there"):
        with locks.holding(tmp_path / name):
            pass
    (line,) = caplog.messages
    assert "left by process 7 on host gpu-1 since yesterday" in line


def failing_open(code):
    def open_(path, flags, *mode):
        raise OSError(code, os.strerror(code), str(path))

    return open_


def test_without_leave_to_write_there_is_no_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", failing_open(errno.EROFS))
    with locks.holding(tmp_path):
        assert not list(tmp_path.iterdir())
    monkeypatch.setattr(os, "open", failing_open(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"), locks.holding(tmp_path):
        pass


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, caplog):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with locks.holding(tmp_path), locks.holding(tmp_path):
        pass
    assert "has no locks; nothing keeps other processes" in caplog.text
    assert not list(tmp_path.iterdir())


def test_the_file_of_another_user_may_stay(tmp_path, monkeypatch):
    def unlink(path, missing_ok):
        raise PermissionError(errno.EPERM, "not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "unlink", unlink)
        with locks.holding(tmp_path):
            pass
    assert list(tmp_path.iterdir())
    with locks.holding(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_clearing_spares_the_lock_of_a_process_that_has_just_begun(
    tmp_path, monkeypatch
):
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    first.enter_context(locks.holding(tmp_path))
    flock = fcntl.flock

    def flock_after_a_change(file, operation):
        monkeypatch.setattr(fcntl, "flock", flock)
        first.close()
        second.enter_context(locks.holding(tmp_path))
        return flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock_after_a_change)
    locks.clear(tmp_path)
    assert lock_file(tmp_path).exists()
    second.close()
    lock = write_name(tmp_path / "left")
    locks.clear(lock.parent)
    assert not lock.exists()


@pytest.mark.parametrize(
    ("changes", "age", "left"),
    [
        ({}, 0, True),
        # The same number and name in another container of this machine.
        ({"process": 1, "host": "other"}, 0, True),
        # A reboot, or a machine whose locks may not be passed on.
        ({"boot": "other"}, 0, False),
        ({"boot": "other"}, 2 * 3600, True),
    ],
)
def test_what_is_left_behind(tmp_path, changes, age, left):
    path = write_name(tmp_path / "scratch", **changes)
    old = path.stat().st_mtime - age
    os.utime(path, (old, old))
    with locks.claiming(path) as is_left:
        assert is_left is left
    path.unlink()
    with locks.marking(path):
        os.utime(path, (0, 0))
        with locks.claiming(path) as is_left:
            assert not is_left

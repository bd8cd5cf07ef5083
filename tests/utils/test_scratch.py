"""Temporary directories: removed at the end, or by a later process."""

import json
import os
import time

from kd_keras.utils import files, processes, scratch


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
    left = [
        left_by("ended"),
        left_by("other_container", host="gpu-1", process=1),
        aged(left_by("before_the_last_boot", boot="other"), "owner.json"),
        aged(empty),
    ]
    foreign = path.parent / ".kd_keras-new-foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").touch()
    with scratch.directory(path.parent) as running:
        kept = [
            running,
            left_by("other_machine", host="gpu-1", boot="other"),
            aged(foreign),
        ]
        files.write_text(path, "after")
        assert not any(folder.exists() for folder in left)
        assert all(folder.exists() for folder in kept)
    assert not running.exists()


def test_another_path_of_a_directory_has_no_special_characters(tmp_path):
    folder = tmp_path / "[a]*"
    folder.mkdir()
    with scratch.literal(folder) as link:
        (link / "file").touch()
        assert not set(str(link)) & set("[]*?\\")
    assert [path.name for path in folder.iterdir()] == ["file"]

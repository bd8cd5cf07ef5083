"""Run directories: old reports, what --restart removes and what it refuses."""

import json

import pytest
import report_runs

from kd_keras.training import run_directory
from kd_keras.utils import manifests

RUN_FILES = [
    "config.json",
    "versions.json",
    "metrics.jsonl",
    "report.json",
    "student.keras",
    "checkpoints/checkpoint",
    "checkpoints/ckpt-2.index",
    "checkpoints/ckpt-2.data-00000-of-00001",
    "checkpoints/ckpt-3_temp/part-00000-of-00001.data-00000-of-00001",
    "checkpoints/ckpt-2-40.index",
    "checkpoints/ckpt-2-40.data-00000-of-00001",
    "checkpoints/checkpoint.tmp1a2b",
    "tensorboard/train/events.out.tfevents.1.host.2.0.v2",
    "tensorboard/views/events.out.tfevents.1.host.2.1.v2",
    manifests.NAME,
]
RECORD = {
    "stage": "student",
    "command": "the command",
    "config": {"name": "small", "precision": "float32"},
    "depends_on": {},
}


def make_run(path, extra=()):
    for name in [*RUN_FILES, *extra]:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("x")
    (path / "config.json").write_text(json.dumps(RECORD))
    (path / manifests.NAME).write_text(json.dumps(manifests.record({})))
    return run_directory.RunDir(path, "student")


def test_remove_removes_the_files_of_a_run(tmp_path):
    run_dir = make_run(tmp_path / "student")
    run_dir.remove()
    assert list(run_dir.path.iterdir()) == []
    run_dir.remove()  # of nothing


def test_remove_keeps_a_link_to_the_directory(tmp_path):
    make_run(tmp_path / "elsewhere")
    link = tmp_path / "student"
    link.symlink_to(tmp_path / "elsewhere")
    run_directory.RunDir(link, "student").remove()
    assert link.is_symlink() and list(link.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "thesis.txt",
        "notes/thesis.txt",
        "teacher.keras",
        "checkpoints/mine.txt",
        "tensorboard/train/notes.txt",
        "0/thesis.txt",
    ],
)
@pytest.mark.parametrize("linked", [False, True])
def test_remove_refuses_a_directory_with_other_files(tmp_path, name, linked):
    path = tmp_path / "elsewhere"
    make_run(path, extra=[name])
    if linked:
        (tmp_path / "student").symlink_to(path)
        path = tmp_path / "student"
    with pytest.raises(ValueError, match=f"what a run writes.*with {name};"):
        run_directory.RunDir(path, "student").remove()
    assert all((path / x).exists() for x in [*RUN_FILES, name])


def test_remove_refuses_links_inside(tmp_path):
    run_dir = make_run(tmp_path / "student")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "ckpt-1.index").write_text("mine")
    (run_dir.path / "checkpoints" / "ckpt-1.index").symlink_to(
        tmp_path / "mine" / "ckpt-1.index"
    )
    with pytest.raises(ValueError, match="checkpoints/ckpt-1.index"):
        run_dir.remove()
    assert (tmp_path / "mine" / "ckpt-1.index").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting"),
        ("[]", "a list instead of an object"),
        ('{"name": "mine"}', "'stage' is missing"),
        (json.dumps({**RECORD, "stage": "teacher"}), "the stage teacher"),
    ],
)
def test_a_config_of_somebody_else_is_refused(tmp_path, text, reason):
    (tmp_path / "config.json").write_text(text)
    run_dir = run_directory.RunDir(tmp_path, "student")
    for refused in (run_dir.remove, lambda: run_dir.check({})):
        with pytest.raises(ValueError, match=f"config.json.*{reason}"):
            refused()
    assert (tmp_path / "config.json").read_text() == text


def test_files_without_a_record_are_not_a_run(tmp_path):
    (tmp_path / "student.keras").write_text("mine")
    run_dir = run_directory.RunDir(tmp_path, "student")
    for refused in (run_dir.remove, lambda: run_dir.check({})):
        with pytest.raises(ValueError, match="new or empty.*student.keras"):
            refused()


def test_a_report_of_version_0_1_is_read_with_the_keys_of_today(tmp_path):
    (tmp_path / "specialist.keras").touch()
    rows = {"test": [{"covering": 1}]}
    record = {**report_runs.REPORT, "by_covering": rows}
    (tmp_path / "report.json").write_text(json.dumps(record))
    report = run_directory.RunDir(tmp_path, "specialist").report()
    assert report == {**report_runs.REPORT, "by_coverage": rows}


def test_an_export_of_a_run_before_its_extension_is_its_own(tmp_path):
    # Version 0.1 did not record the directory.
    export = {"depends_on": {"student.epochs": 10}}
    now = {"student.epochs": 20, "student.extended_from": [10]}
    run_dir = run_directory.RunDir(tmp_path, "student")
    assert run_dir.owns(export, now)
    assert not run_dir.owns(export, {"student.epochs": 20})

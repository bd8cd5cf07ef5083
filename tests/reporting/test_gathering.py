"""Inputs of the report that are refused."""

import pathlib
import re
import subprocess
import sys

import pytest

from kd_keras.reporting import gathering


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "kd_keras.report", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={
            "PATH": "",
            "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
            "CUDA_VISIBLE_DEVICES": "-1",
        },
    )


@pytest.mark.slow
def test_a_missing_run_directory_is_a_one_line_error(tmp_path):
    result = run("--workdir=nothing", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr == (
        "error: --workdir must be a directory of runs. Received: nothing, "
        "which does not exist\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "--workdir must be a directory of runs, or --name"),
        ({"name": "mnist"}, "needs a finished teacher: run --stage=teacher"),
        ({"name": "mnist", "exports": "none"}, "without exports.json"),
        ({"name": "mnist", "onnx_needed": True}, "--serve needs the student's"),
        ({"name": "mnist", "exports": "bad"}, "must have formats"),
        ({"name": "mnist", "exports": "broken"}, "must be whole JSON"),
        ({"name": "mnist", "exports": "gone"}, "must name files that exist"),
    ],
)
def test_invalid_inputs_are_refused(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    gone = '{"formats": [{"format": "onnx", "file": "gone.onnx"}]}'
    for name, text in (("bad", "{}"), ("broken", "{"), ("gone", gone)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "exports.json").write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        gathering.gather(savedmodels="savedmodels", **options)

"""Inputs of the report that are refused."""

import json
import pathlib
import re
import subprocess
import sys

import keras
import nets
import numpy as np
import pytest
import report_runs

from kd_keras import config as config_lib
from kd_keras.reporting import gathering, models, records
from kd_keras.training import run_directory


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


def test_a_teacher_that_was_given_is_read_from_its_path(place):
    config = config_lib.default_config()
    config.name = "tiny"
    path = place / "runs" / "teacher" / "teacher.keras"
    config.teacher.path = str(path)
    teacher = models.find(config, place / "runs", place / "none")[0]
    images = nets.make_images(4).astype("uint8")
    expected = keras.models.load_model(path).predict(images, verbose=0)
    assert teacher.paths == [path]
    np.testing.assert_allclose(teacher.classifier(images), expected, atol=1e-4)


def test_test_images_without_labels_are_refused(place, tmp_path):
    config = config_lib.default_config()
    config.data.name = "folder"
    config.data.data_dir = str(place / "images" / "train" / "ant")
    config.data.channels = nets.IMAGE_SHAPE[-1]
    config.teacher.path = str(place / "runs" / "teacher" / "teacher.keras")
    run = run_directory.RunDir(tmp_path / "student", "student")
    run.start(config, {}, command="", environment={})
    run.write_model(nets.make_network())
    run.write_json("report.json", report_runs.REPORT)
    with pytest.raises(ValueError, match="test images with labels.*evaluate"):
        gathering.gather(workdir=tmp_path, savedmodels=tmp_path)


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "--workdir must be a directory of runs, or --name"),
        ({"name": "mnist"}, "run kd-keras train --stage=teacher first"),
        ({"name": "mnist", "exports": "none"}, "without exports.json"),
        ({"name": "mnist", "onnx_needed": True}, "--serve needs the student's"),
        ({"workdir": "foreign"}, "Received: foreign/student/config.json ("),
    ],
)
def test_invalid_inputs_are_refused(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "foreign" / "student").mkdir(parents=True)
    (tmp_path / "foreign" / "student" / "config.json").write_text(
        '{"config": {"student": {"epochs": "many"}}}'
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        gathering.gather(savedmodels="savedmodels", **options)


def row(file="a.onnx", format="onnx"):
    values = {"errors": 1, "examples": 2, "bytes": 3}
    return json.dumps({"formats": [{"format": format, "file": file, **values}]})


@pytest.mark.parametrize(
    "text, message",
    [
        ("{}", "'formats' is missing"),
        ("{", "it is no JSON"),
        ('{"formats": [{"format": "onnx", "file": "a.onnx"}]}', "is missing"),
        (row("gone.onnx"), "gone.onnx, which does not exist"),
        (row(format="exe"), "in known formats. Received"),
        # Files elsewhere, which would be served to browsers.
        (row("../secret"), "../secret, which lies elsewhere"),
        (row("{tmp_path}/secret"), "/secret, which lies elsewhere"),
        (row("link"), "link, which lies elsewhere"),
        (row("folder/a.onnx"), "folder/a.onnx, which lies elsewhere"),
        (row("./a.onnx"), "./a.onnx, which lies elsewhere"),
        (row(".."), "onnx .., which does not exist"),
        (row(""), "which does not exist"),
    ],
)
def test_a_record_of_exports_names_files_beside_it(tmp_path, text, message):
    folder = tmp_path / "exports"
    (folder / "folder").mkdir(parents=True)
    for path in ("secret", "exports/a.onnx", "exports/folder/a.onnx"):
        (tmp_path / path).touch()
    (folder / "link").symlink_to("../secret")
    text = text.replace("{tmp_path}", str(tmp_path))
    (folder / "exports.json").write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        records.exported_files(folder, None, students=[])
    (folder / "exports.json").write_text(row())
    assert (
        records.exported_files(folder, None, students=[])[0]["path"].name
        == "a.onnx"
    )

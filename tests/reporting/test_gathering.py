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
import scipy.special

from kd_keras import config as config_lib
from kd_keras.deployment import export_records
from kd_keras.reporting import gathering, models, records
from kd_keras.teachers import fingerprint, precision
from kd_keras.training import run_directory, stages
from kd_keras.utils import files


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


def find(config, workdir, savedmodels, **options):
    places = models.places(config, workdir, savedmodels)
    return models.load(config, places, savedmodels, **options)


def test_a_teacher_that_was_given_is_read_from_its_path(place):
    config = config_lib.default_config()
    config.name = "tiny"
    path = place / "runs" / "teacher" / "teacher.keras"
    config.teacher.path = str(path)
    teacher = find(config, place / "runs", place / "none")[0]
    images = nets.make_images(4).astype("uint8")
    expected = keras.models.load_model(path).predict(images, verbose=0)
    assert teacher.paths == [path]
    np.testing.assert_allclose(teacher.classifier(images), expected, atol=1e-4)


@pytest.mark.parametrize("given", [True, False])
def test_a_teacher_is_measured_as_it_taught(
    place, tmp_path, monkeypatch, caplog, given
):
    monkeypatch.setattr(precision, "is_available", lambda: False)
    config = config_lib.default_config()
    config.name = "tiny"
    path = place / "runs" / "teacher" / "teacher.keras"
    config.teacher.path = str(path) if given else ""
    config.teacher.mirrored = True
    config.teacher.precision = "bfloat16"
    # In another order than the data's.
    (tmp_path / "map.json").write_text('{"b": [0, 1], "a": 2}')
    config.teacher.classes = str(tmp_path / "map.json")
    teacher, *_ = find(
        config, place / "runs", place / "none", class_names=["a", "b"]
    )
    images = nets.make_images(4).astype("uint8")
    network = keras.models.load_model(path)
    expected = 0
    for seen in (images, images[:, :, ::-1]):
        x = np.exp(network(seen))
        x = np.stack([x[:, 2], x[:, 0] + x[:, 1]], axis=-1)
        expected = expected + x / x.sum(axis=-1, keepdims=True) / 2
    received = scipy.special.softmax(teacher.classifier(images), axis=-1)
    np.testing.assert_allclose(received, expected, atol=1e-5)
    assert "measured in float32" in caplog.text


@pytest.mark.parametrize("paths", ["gone", "{teacher}, gone"])
def test_no_other_teacher_takes_the_place_of_the_one_of_the_run(place, paths):
    config = config_lib.default_config()
    config.name = "tiny"
    path = place / "runs" / "teacher" / "teacher.keras"
    config.teacher.path = paths.format(teacher=path)
    with pytest.raises(ValueError, match="teacher of the run.* gone, which"):
        find(config, place / "runs", place / "none")


@pytest.mark.parametrize("part", ["store.teacher", "teacher"])
@pytest.mark.parametrize("weights", ["same", "others"])
def test_a_teacher_that_was_trained_again_is_told(
    place, tmp_path, caplog, part, weights
):
    config = config_lib.default_config()
    config.name = "tiny"
    path = place / "runs" / "teacher" / "teacher.keras"
    config.teacher.path = str(path)
    if weights == "same":
        weights = fingerprint.fingerprint(path)
    run = run_directory.RunDir(tmp_path / "student", "student")
    depends_on = {f"{part}.fingerprint": weights}
    run.start(config, depends_on, command="", environment={})
    run.write_model(nets.make_network())
    run.write_json("report.json", report_runs.REPORT)
    find(config, tmp_path, tmp_path)
    is_told = "other weights now than when the student" in caplog.text
    assert is_told == (weights == "others")


TEACHER_MODULE = """
import numpy as np

def teacher(images):
    return np.asarray(images).reshape(len(images), -1)[:, :5]

teacher.image_shape = (8, 8, 1)
"""


def test_a_teacher_that_is_a_name_is_measured(place, tmp_path, monkeypatch):
    (tmp_path / "a_named_teacher.py").write_text(TEACHER_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    # The records of a run in this directory are not the teacher's.
    (tmp_path / "report.json").write_text('{"parameters": 1}')
    config = config_lib.default_config()
    config.teacher.path = "a_named_teacher:teacher"
    found = find(config, place / "runs", tmp_path / "none")
    images = nets.make_images(4).astype("uint8")
    np.testing.assert_array_equal(
        found[0].classifier(images), images.reshape(4, -1)[:, :5]
    )
    measured = {"errors": 1, "examples": 2}
    row, *_ = models.rows(
        found, [], dict.fromkeys(stages.ALL, measured), {"models": []}, "tiny"
    )
    assert row["format"] == "Python function"
    assert (row["bytes"], row["parameters"]) == (None, None)


def test_timings_are_those_of_the_path_or_of_a_name_of_one(tmp_path):
    paths = [f"{tmp_path}/{x}/student.keras" for x in "ab"]
    paths += ["elsewhere/student.onnx"]
    timings = {"hardware": None, "models": [{"path": path} for path in paths]}

    def found(path, name):
        row = records.timing_of(timings, path, ["tiny_student", name])
        return row and row["path"]

    for path in paths[:2]:
        assert found(path, "student.keras") == path
    assert found(tmp_path / "c" / "student.keras", "student.keras") is None
    assert found(tmp_path / "student.onnx", "student.onnx") == paths[2]


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
        exported_files(folder)
    (folder / "exports.json").write_text(row())
    (found,) = exported_files(folder)
    assert found["path"].name == "a.onnx"


def exported_files(folder, *, is_given=True):
    return records.exported_files(
        folder, is_given=is_given, names=["tiny_student"], weights="ours"
    )


def write_exports(folder, models):
    """An `exports.json` of models: dict of their paths to their weights."""
    folder.mkdir()
    rows = []
    for model, weights in models.items():
        name = pathlib.Path(model).stem
        (folder / f"{name}.onnx").touch()
        of_all = {"errors": 1, "examples": 2, "bytes": 0, "model": model}
        rows += [
            {"format": "model", "file": name, "weights_sha256": weights},
            {"format": "onnx", "file": f"{name}.onnx"},
        ]
        rows[-2:] = [{**of_all, **row} for row in rows[-2:]]
    text = export_records.text(rows, model=model, command="kd-keras export")
    (folder / "exports.json").write_text(text)


@pytest.mark.parametrize(
    "models, expected",
    [
        ({"a/student.keras": "ours", "b/teacher": "other"}, ["student.onnx"]),
        # Renamed, or exported to a SavedModel: the same weights.
        ({"elsewhere/renamed": "ours"}, ["renamed.onnx"]),
        # Of an older record.
        ({"a/tiny_student": None, "b/teacher": None}, ["tiny_student.onnx"]),
    ],
)
def test_exports_of_the_student_are_known_by_its_weights(
    tmp_path, models, expected
):
    folder = tmp_path / "exports"
    write_exports(folder, models)
    assert [row["path"].name for row in exported_files(folder)] == expected


@pytest.mark.parametrize(
    "model", [{"b/teacher": "other"}, {"tiny_student": "trained again"}]
)
def test_exports_of_another_model_are_refused_or_left_out(
    tmp_path, model, caplog
):
    folder = tmp_path / "exports"
    write_exports(folder, model)
    match = f"student's weights.*files of {next(iter(model))}"
    with pytest.raises(ValueError, match=match):
        exported_files(folder)
    assert exported_files(folder, is_given=False) == []
    assert f"left out {folder} with files of" in caplog.text


def test_no_export_takes_the_place_of_an_unfinished_run(tmp_path, caplog):
    config = config_lib.default_config()
    for role in ("student", "baseline"):
        run = run_directory.RunDir(tmp_path / "runs" / role, role)
        run.start(config, {}, command="", environment={})
        (tmp_path / "models" / f"tiny_{role}").mkdir(parents=True)
    places = "tiny", tmp_path / "runs", tmp_path / "models"
    with pytest.raises(ValueError, match="resumes it.*student, which is not"):
        models.path_of("student", *places)
    assert models.path_of("baseline", *places) is None
    assert "baseline: left out" in caplog.text
    exported = tmp_path / "models" / "tiny_student"
    assert models.path_of("student", "tiny", None, places[2]) == exported


@pytest.mark.parametrize("role", ["student", "baseline"])
def test_an_export_of_another_run_does_not_stand_for_a_removed_network(
    tmp_path, caplog, role
):
    run = run_directory.RunDir(tmp_path / "runs" / role, role)
    run.start(config_lib.default_config(), {}, command="", environment={})
    report = report_runs.REPORT | {"stage": role}
    run.write_json("report.json", report)
    exported = tmp_path / "models" / f"tiny_{role}"
    exported.mkdir(parents=True)
    places = role, "tiny", tmp_path / "runs", tmp_path / "models"
    files.write_json(exported / "report.json", report)
    assert models.path_of(*places) == exported
    files.write_json(exported / "report.json", report | {"seconds": 7.0})
    if role == "baseline":
        assert models.path_of(*places) is None
        assert "is of another run" in caplog.text
        return
    with pytest.raises(ValueError, match="put .*student.keras back.*another"):
        models.path_of(*places)

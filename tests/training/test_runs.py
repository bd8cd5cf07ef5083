"""Runs of the stages: their records, and what a second run does."""

import copy
import json
import shutil

import keras
import numpy as np
import pytest
from stage_runs import (
    export_dummy_teacher,
    read_metrics,
    same_bits,
    small_config,
    store_config,
)

from kd_keras.training import publishing, run_directory, runs, stages
from kd_keras.utils import locks


@pytest.fixture(scope="module")
def finished(small_mnist, tmp_path_factory):
    """Reports of the three stages and the directory of their run."""
    folder = tmp_path_factory.mktemp("finished")
    reports = runs.run(
        small_config(),
        stages=stages.ALL,
        workdir=folder / "work",
        savedmodels=folder / "models",
        dataset=small_mnist,
        command="the first command",
    )
    return reports, folder


@pytest.fixture
def reports(finished, tmp_path):
    """The reports of the three stages, whose run is in `tmp_path`: list."""
    reports, folder = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return copy.deepcopy(reports)


@pytest.mark.slow
def test_every_stage_writes_its_records(reports, tmp_path, small_mnist):
    assert [report["stage"] for report in reports] == [*stages.ALL]
    for report in reports:
        stage = report["stage"]
        folder = tmp_path / "work" / stage
        compared = report.pop("against_baseline", None)
        assert (compared is not None) == (stage == "student")
        assert json.loads((folder / "report.json").read_text()) == report
        config = json.loads((folder / "config.json").read_text())
        assert config["config"]["name"] == "small"
        versions = json.loads((folder / "versions.json").read_text())
        assert versions["packages"]["keras"] == keras.__version__
        lines = read_metrics(folder / "metrics.jsonl")
        assert [line["epoch"] for line in lines] == [1, 2]
        for line in lines:
            assert line["seconds"] > 0
            assert line["examples_per_second"] == pytest.approx(
                400 / line["seconds"], rel=0.01
            )
            assert {"loss", "val_loss", "val_accuracy"} <= line.keys()
        assert report["seconds"] == pytest.approx(
            sum(line["seconds"] for line in lines), abs=0.11
        )
        assert report["epochs"] == 2

        # The report describes the model beside it.
        model = keras.models.load_model(folder / f"{stage}.keras")
        logits = model.predict(small_mnist.test.images, verbose=0)
        errors = (logits.argmax(-1) != small_mnist.test.labels).sum()
        assert report["test_examples"] == 300
        assert report["test_errors"] == errors
        assert report["test_accuracy"] == pytest.approx(1 - errors / 300)
        nll = keras.losses.sparse_categorical_crossentropy(
            small_mnist.test.labels, logits, from_logits=True
        )
        assert report["test_nll"] == pytest.approx(np.mean(nll), rel=1e-3)
        assert report["parameters"] == model.count_params()

        card = (
            tmp_path / "models" / f"small_{stage}" / "model_card.md"
        ).read_text()
        assert f"{errors} of 300" in card and "the first command" in card
        for record in ("config.json", "report.json", "metrics.jsonl"):
            exported = tmp_path / "models" / f"small_{stage}" / record
            assert exported.read_text() == (folder / record).read_text()

    teacher, student, _ = reports
    teacher_model = keras.models.load_model(
        tmp_path / "work/teacher/teacher.keras"
    )
    student_model = keras.models.load_model(
        tmp_path / "work/student/student.keras"
    )
    agreement = np.mean(
        teacher_model.predict(small_mnist.test.images, verbose=0).argmax(-1)
        == student_model.predict(small_mnist.test.images, verbose=0).argmax(-1)
    )
    assert student["agreement"] == pytest.approx(agreement, abs=1e-6)
    assert student["teacher_errors"] == teacher["test_errors"]
    card = (tmp_path / "models/small_student/model_card.md").read_text()
    assert f"of the teacher | {teacher['test_errors']} of 300 |" in card
    assert not {"agreement", "teacher_errors"} & set(teacher)
    # It learns: chance is 270 errors.
    assert teacher["test_errors"] < 200


@pytest.mark.slow
def test_the_same_command_gives_the_same_bits_and_another_seed_others(
    run, tmp_path, reports
):
    run("teacher", "student", workdir="second", savedmodels="second_models")
    run(
        "teacher",
        workdir="third",
        config=small_config(seed=1),
        savedmodels="third_models",
    )
    for stage in ("teacher", "student"):
        assert same_bits(
            tmp_path / f"work/{stage}/{stage}.keras",
            tmp_path / f"second/{stage}/{stage}.keras",
        )
    assert not same_bits(
        tmp_path / "work/teacher/teacher.keras",
        tmp_path / "third/teacher/teacher.keras",
    )


@pytest.mark.slow
def test_a_finished_stage_is_not_run_again(run, tmp_path, monkeypatch, reports):
    monkeypatch.setattr(keras.Model, "fit", None)
    assert run("teacher") == reports[:1]
    # A lost export is written again.
    path = tmp_path / "models" / "small_teacher"
    (path / "saved_model.pb").unlink()
    path.rename(tmp_path / "gone")
    run("teacher", command="another command")
    assert (path / "saved_model.pb").exists()
    # The card has the training's command, not the export's.
    assert "the first command" in (path / "model_card.md").read_text()


@pytest.mark.slow
def test_a_run_directory_is_held_from_its_checks_to_its_report(
    run, tmp_path, monkeypatch
):
    folder = tmp_path / "work" / "teacher"

    def refuses():
        with pytest.raises(ValueError, match="held by process"):
            run("teacher", restart=True)

    with locks.holding(folder):
        refuses()
        assert len(list(folder.iterdir())) == 1
    moments = []

    def watch(owner, name):
        original = getattr(owner, name)

        def watched(*arguments, **options):
            refuses()
            moments.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, watched)

    watch(run_directory.RunDir, "check")
    watch(publishing, "publish")
    run("teacher", config=small_config(**{"teacher.epochs": 1}))
    assert moments == ["check", "publish"]
    with locks.holding(folder):
        pass


def test_all_stages_of_a_run_are_held_before_the_first_begins(run, tmp_path):
    with (
        locks.holding(tmp_path / "work" / "baseline"),
        pytest.raises(ValueError, match="baseline must be used by one"),
    ):
        run("teacher", "student", "baseline")
    assert not (tmp_path / "work").exists()


def test_another_run_may_not_export_to_the_same_path_meanwhile(run, tmp_path):
    with (
        locks.holding(tmp_path / "models", part="small_baseline"),
        pytest.raises(
            ValueError, match="small_baseline in it.* another --savedmodels"
        ),
    ):
        run("teacher", "baseline")
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
def test_a_finished_student_is_recognised_after_its_teacher_moved(
    run, tmp_path, taught, monkeypatch
):
    (first,) = run("student", config=store_config(""))
    shutil.move(tmp_path / "models" / "small_teacher", tmp_path / "moved")
    config = store_config("", **{"teacher.path": str(tmp_path / "moved")})
    monkeypatch.setattr(keras.Model, "fit", None)
    assert run("student", config=config) == [first]
    export_dummy_teacher(tmp_path / "moved")
    with pytest.raises(ValueError, match=r"teacher\.fingerprint \(was"):
        run("student", config=config)


@pytest.mark.slow
def test_restart_replaces_the_files_of_a_run_and_no_others(run, tmp_path):
    run("teacher")
    marker = tmp_path / "work" / "teacher" / "marker"
    with pytest.raises(ValueError, match="Did you mean"):
        broken = small_config(**{"teacher.model": "cmn", "teacher.widths": ()})
        run("teacher", restart=True, config=broken)
    assert (marker.parent / "report.json").exists()
    marker.touch()
    with pytest.raises(ValueError, match="a run writes.*with marker; move"):
        run("teacher", restart=True, config=small_config(seed=5))
    assert marker.exists() and (marker.parent / "report.json").exists()
    marker.unlink()
    (before,) = run("teacher")
    (after,) = run("teacher", restart=True, config=small_config(seed=5))
    assert after["test_nll"] != before["test_nll"]


@pytest.mark.slow
def test_a_work_directory_of_another_configuration_is_refused(
    run, tmp_path, reports
):
    with pytest.raises(ValueError, match=r"seed \(was 0, is 1\)"):
        run("teacher", config=small_config(seed=1))
    with pytest.raises(ValueError, match=r"distill\.temperature \(was 4"):
        run("student", config=small_config(**{"distill.temperature": 2.0}))
    # Fields that a stage does not depend on may change.
    run("teacher", config=small_config(**{"distill.temperature": 2.0}))
    # Another teacher under the same path is another configuration.
    run(
        "teacher",
        config=small_config(seed=1),
        workdir="other",
        savedmodels="other_models",
    )
    shutil.rmtree(tmp_path / "models" / "small_teacher")
    shutil.move(
        tmp_path / "other_models" / "small_teacher", tmp_path / "models"
    )
    with pytest.raises(ValueError, match=r"teacher\.fingerprint"):
        run("student")

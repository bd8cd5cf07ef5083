"""Extended runs: their results, their records, and refusals."""

import json
import shutil

import pytest
from stage_runs import (
    Interrupted,
    interrupt_after_epochs,
    read_metrics,
    same_bits,
    small_config,
)

from kd_keras.training import extension, fitting, runs


def config_of(epochs, **fields):
    return small_config(**{"teacher.epochs": epochs, **fields})


@pytest.fixture(scope="module")
def constant():
    """A schedule with which an extended run equals a longer one."""
    return {
        "teacher.optimizer.schedule": "constant",
        "teacher.optimizer.warmup_epochs": 0.5,
    }


@pytest.mark.slow
def test_an_extended_run_has_the_bits_of_a_longer_one(run, tmp_path, constant):
    run(
        "teacher",
        workdir="long",
        savedmodels="long_models",
        config=config_of(2, **constant),
    )
    run("teacher", config=config_of(1, **constant))
    (report,) = run("teacher", config=config_of(2, **constant), extend=True)
    assert report["epochs"] == 2 and report["extended_from"] == [1]
    folder = tmp_path / "work" / "teacher"
    assert same_bits(
        tmp_path / "long/teacher/teacher.keras", folder / "teacher.keras"
    )
    lines = read_metrics(folder / "metrics.jsonl")
    assert [line["epoch"] for line in lines] == [1, 2]
    record = json.loads((folder / "config.json").read_text())["depends_on"]
    assert record["teacher.epochs"] == 2
    assert record["teacher.extended_from"] == [1]
    card = (tmp_path / "models/small_teacher/model_card.md").read_text()
    assert "1, extended to 2" in card
    # The same command finds it finished; another one is another run.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "fit", None)
        assert run("teacher", config=config_of(2, **constant), extend=True) == [
            report
        ]
    with pytest.raises(
        ValueError, match=r"extended_from \(was \[1\].*repeat .* --extend"
    ):
        run("teacher", config=config_of(2, **constant))


@pytest.fixture(scope="module")
def trained(small_mnist, tmp_path_factory):
    """Directory with the run and the export of a teacher of two epochs."""
    folder = tmp_path_factory.mktemp("trained")
    runs.run(
        config_of(2),
        stages=["teacher"],
        workdir=folder / "work",
        savedmodels=folder / "models",
        dataset=small_mnist,
    )
    return folder


@pytest.mark.slow
def test_an_interrupted_extension_ends_in_the_bits_of_a_whole_one(
    run, tmp_path, trained
):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    shutil.copytree(tmp_path / "work", tmp_path / "whole")
    run("teacher", config=config_of(4), workdir="whole", extend=True)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after_epochs(patch, 1)
        with pytest.raises(Interrupted):
            run("teacher", config=config_of(4), extend=True)
    assert not (tmp_path / "work/teacher/report.json").exists()
    with pytest.raises(ValueError, match=r"extended_from.*--extend"):
        run("teacher", config=config_of(4))
    run("teacher", config=config_of(4), extend=True)
    assert same_bits(
        tmp_path / "whole/teacher/teacher.keras",
        tmp_path / "work/teacher/teacher.keras",
    )


@pytest.mark.slow
def test_what_cannot_be_extended_is_refused(run, tmp_path, trained):
    with pytest.raises(ValueError, match="there is none; leave --extend out"):
        run("teacher", extend=True)
    with pytest.raises(ValueError, match="--restart and --extend; leave one"):
        run("teacher", extend=True, restart=True)
    assert not (tmp_path / "work").exists()
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        # It is known before any training whether a stage can be extended.
        patch.setattr(fitting, "fit", None)
        with pytest.raises(ValueError, match="work/student, where there"):
            run("student", extend=True)
    with pytest.raises(ValueError, match="at least 2. Received: 1"):
        run("teacher", config=config_of(1), extend=True)
    with pytest.raises(ValueError, match=r"epochs \(was 2, is 3\).*--extend"):
        run("teacher", config=config_of(3))
    with pytest.raises(ValueError, match=r"Differing: seed .*--restart$"):
        run("teacher", config=config_of(3, seed=1), extend=True)
    shutil.rmtree(tmp_path / "work/teacher/checkpoints")
    with pytest.raises(ValueError, match="without any; train for all 3"):
        run("teacher", config=config_of(3), extend=True)
    assert (tmp_path / "work/teacher/report.json").exists()


def test_a_run_can_be_extended_again():
    first = {"student.epochs": 10}
    was = {"student.epochs": 20, "student.extended_from": [10]}
    options = {"section": "student", "path": "work"}
    recorded = {"depends_on": was}
    assert extension.ends(recorded, epochs=20, **options) == (10, 20)
    ends = extension.ends(recorded, epochs=30, **options)
    assert ends == (10, 20, 30)
    planned = extension.planned(was, section="student", ends=ends)
    assert planned["student.extended_from"] == [10, 20]
    assert extension.earlier(first) == []
    assert extension.earlier(planned) == [first, was]
    report = extension.entries(ends)
    assert extension.text(report) == "10, extended to 20, extended to 30"

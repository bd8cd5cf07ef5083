"""Running the paper's experiments: once each, resumed, removed."""

import json
import shutil

import keras
import paper_lab
import pytest

from experiments.paper import catalogue, runner

NAMES = ("teacher", "no_threes", "no_threes_bias")


@pytest.fixture(scope="module")
def finished(small_mnist, tmp_path_factory):
    """Directory of a lab that has measured some experiments."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as monkeypatch:
        paper_lab.set_quick(monkeypatch)
        lab = paper_lab.make(folder, small_mnist)
        lines = paper_lab.measure(lab, *NAMES)
    assert lab.lines == lines
    return folder


@pytest.fixture
def measured(finished, quick, tmp_path):
    """The results that a lab has written to `tmp_path`: list of dicts."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    results = tmp_path / "results" / "paper.jsonl"
    return [json.loads(line) for line in results.read_text().splitlines()]


@pytest.mark.slow
def test_results_and_runs_are_reused(measured, make_lab, tmp_path, monkeypatch):
    assert [line["experiment"] for line in measured] == [*NAMES]
    for line in measured:
        assert line["seed"] == 0
        assert {"commit", "hardware", "config_hash"} <= line.keys()
        assert line["test_examples"] == 300 and line["seconds"] > 0

    # Neither a result nor a finished run is made again.
    monkeypatch.setattr(keras.Model, "fit", None)
    assert paper_lab.measure(make_lab(), *NAMES) == measured
    plain = measured[1]
    results = tmp_path / "results" / "paper.jsonl"
    results.write_text(json.dumps({**plain, "config_hash": "another"}) + "\n")
    assert paper_lab.measure(make_lab(), "no_threes") == [plain]
    assert results.read_text() == json.dumps(plain) + "\n"


@pytest.mark.slow
def test_a_changed_teacher_is_refused_until_its_run_is_forgotten(
    measured, make_lab, quick, tmp_path
):
    quick(**{"teacher.epochs": 3})
    with pytest.raises(ValueError, match=r"epochs \(was 2, is 3\).*restart"):
        paper_lab.measure(make_lab(), "no_threes")
    lab = make_lab()
    names = ("teacher", "no_threes")
    lab.forget([catalogue.EXPERIMENTS[name] for name in names])
    assert [line["experiment"] for line in lab.lines] == ["no_threes_bias"]
    work = tmp_path / "work"
    assert (work / "no_threes_bias" / "seed0").exists()
    assert not any(path.is_file() for path in (work / "no_threes").rglob("*"))
    again = paper_lab.measure(lab, *names)
    assert [line["epochs"] for line in again] == [3, 2]
    assert again[1]["config_hash"] != measured[1]["config_hash"]


@pytest.mark.slow
def test_forget_removes_nothing_beside_files_of_others(measured, make_lab):
    lab = make_lab()
    teacher = catalogue.EXPERIMENTS["teacher"]
    run_dir = lab.run_dir(teacher, 0)
    (run_dir.path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"thesis\.txt"):
        lab.forget([teacher])
    assert run_dir.model_path.exists() and lab.lines == measured


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("ensemble_geometric", True),
        pytest.param(
            "twenty_student_of_specialists", True, marks=pytest.mark.slow
        ),
        # Each seed has other views.
        ("soft_hard", False),
        # Each seed has other images.
        pytest.param(
            "cifar10_3_percent_soft_mixed", False, marks=pytest.mark.slow
        ),
    ],
)
def test_students_that_see_the_same_views_share_a_store(
    make_lab, monkeypatch, name, shared
):
    lab = make_lab()
    stores = {}
    monkeypatch.setattr(
        runner.runs,
        "label",
        lambda config, *, workdir, **_: (workdir / "store", True),
    )
    monkeypatch.setattr(
        runner.runs,
        "run",
        lambda config, **_: stores.update({config.seed: config.store.path}),
    )
    monkeypatch.setattr(lab, "teacher_path", lambda _: "")
    for seed in (0, 1):
        lab.trained(catalogue.EXPERIMENTS[name], seed)
    path = str(lab.workdir / name / "store") if shared else "auto"
    assert stores == {0: path, 1: path}

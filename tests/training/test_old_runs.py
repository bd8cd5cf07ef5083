"""Runs and stores that version 0.1 wrote are still of use."""

import json
import pathlib
import shutil

import keras
import numpy as np
import pytest

from kd_keras import config as config_lib
from kd_keras import store
from kd_keras.training import runs

OLD = pathlib.Path(__file__).parents[1] / "files" / "run_of_0_1"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A copy of the old files, which is the current directory."""
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_training(monkeypatch):
    def fit(*args, **options):
        raise AssertionError("a network was trained")

    monkeypatch.setattr(keras.Model, "fit", fit)


def recorded(stage, name="report.json"):
    return json.loads((OLD / "work" / stage / name).read_text())


def run(stage, **options):
    config = config_lib.default_config()
    config.update(recorded(stage, "config.json")["config"])
    config.update_from_flattened_dict(options)
    (report,) = runs.run(
        config, stages=[stage], workdir="work", savedmodels="models"
    )
    return report


@pytest.mark.parametrize("stage", ["teacher", "student"])
def test_a_finished_stage_is_not_trained_again(
    place, no_training, stage, caplog
):
    before = (place / "work" / stage / "config.json").read_text()
    assert run(stage) == recorded(stage)
    lines = [m for m in caplog.messages if "could not be compared" in m]
    expected = [f"work/{stage}: data could not be compared"]
    if stage == "student":
        expected.insert(0, "work/store: teacher.graph could not be compared")
    assert [line.partition(",")[0] for line in lines] == expected
    # The record is not rewritten either.
    assert (place / "work" / stage / "config.json").read_text() == before


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["teacher", "student"])
def test_a_lost_export_is_written_again_with_its_card(
    place, no_training, stage
):
    exported = place / "models" / f"tiny_{stage}"
    shutil.rmtree(exported)
    run(stage)
    assert (exported / "saved_model.pb").exists()
    card = (exported / "model_card.md").read_text()
    old = (OLD / "models" / f"tiny_{stage}" / "model_card.md").read_text()
    for table, old_table in (("|  |", "| |"), ("| --- | --- |", "|---|---|")):
        card = card.replace(table, old_table)
    if stage == "teacher":
        # Later versions also export its last features.
        assert "Output: `features`, `logits` and" in card
        card = card.replace("`features`, `logits`", "`logits`")
    text, config = split_card(card)
    old_text, old_config = split_card(old)
    assert text == old_text
    # Later versions have more fields.
    assert {name: config[name] for name in old_config} == old_config


def split_card(card):
    """The text of a model card, and the configuration in it, flat."""
    before, _, rest = card.partition("```json\n")
    config, _, after = rest.partition("```")
    return before + after, config_lib.flatten(json.loads(config))


@pytest.mark.slow
def test_an_unfinished_stage_resumes_after_its_checkpoint(place):
    folder = place / "work" / "student"
    # Stages export when they are finished.
    shutil.rmtree(place / "models" / "tiny_student")
    for name in ("report.json", "student.keras"):
        (folder / name).unlink()
    for path in (folder / "checkpoints").glob("ckpt-2.*"):
        path.unlink()
    (folder / "checkpoints" / "checkpoint").write_text(
        'model_checkpoint_path: "ckpt-1"\n'
        'all_model_checkpoint_paths: "ckpt-1"\n'
    )
    report = run("student")
    assert report["test_nll"] == pytest.approx(
        recorded("student")["test_nll"], abs=1e-3
    )
    old, new = (
        [
            json.loads(line)
            for line in (root / "metrics.jsonl").read_text().splitlines()
        ]
        for root in (OLD / "work" / "student", folder)
    )
    assert new[0] == old[0]
    assert len(new) == 2 and new[1]["seconds"] != old[1]["seconds"]
    assert new[1]["loss"] == pytest.approx(old[1]["loss"], rel=1e-3)


@pytest.mark.slow
def test_a_store_is_accepted_for_a_new_student(place):
    shutil.rmtree(place / "work" / "student")
    shutil.rmtree(place / "models" / "tiny_student")
    report = run("student", **{"student.epochs": 1})
    assert 0 <= report["agreement"] <= 1
    words = r"Differing: data.augment.translate \(was 2"
    with pytest.raises(ValueError, match=words):
        run("student", **{"data.augment.translate": 1})


def test_a_store_returns_the_logits_that_were_written(place):
    opened = store.LogitStore.open(place / "work" / "store")
    for part, count in (("train", 512), ("validation", 64), ("test", 10_000)):
        ids = np.load(OLD / "work" / "store" / f"{part}-ids.npy")
        written = np.load(OLD / "work" / "store" / f"{part}-00000-of-00001.npy")
        assert len(ids) == count
        for view, logits in enumerate(written):
            np.testing.assert_array_equal(
                opened.logits(ids, view=view, part=part),
                logits.astype("float32"),
            )

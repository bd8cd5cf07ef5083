"""Finished stages: damaged outputs are made again, other runs are refused."""

import json
import shutil

import example_sets
import keras
import numpy as np
import pytest
from scratch import tree
from stage_runs import small_config, weights_of

from kd_keras.training import runs
from kd_keras.utils import manifests

EXPORT = "models/small_teacher"


@pytest.fixture(scope="module")
def data(mnist):
    return example_sets.first_digits(mnist, train=100, test=50)


@pytest.fixture(scope="module")
def train(data):
    def train(place, workdir="work", restart=False, **fields):
        config = small_config(
            **{
                "data.validation_examples": 0,
                "teacher.model": "mlp",
                "teacher.widths": (4,),
                "teacher.epochs": 1,
                **fields,
            }
        )
        (report,) = runs.run(
            config,
            stages=["teacher"],
            workdir=place / workdir,
            savedmodels=place / "models",
            restart=restart,
            dataset=data,
            command="the command",
        )
        return report

    return train


@pytest.fixture(scope="module")
def finished(train, tmp_path_factory):
    place = tmp_path_factory.mktemp("finished")
    train(place)
    return place


@pytest.fixture
def place(finished, tmp_path):
    """A copy of a finished run of the teacher stage and its export."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", None)


@pytest.fixture
def instant_training(monkeypatch):
    """Trains by doing nothing."""
    monkeypatch.setattr(keras.Model, "fit", lambda self, *_, **options: None)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "is_lost"),
    [
        ("saved_model.pb", True),
        ("variables/variables.data-00000-of-00001", False),
        ("model_card.md", False),
        ("config.json", False),
        (manifests.NAME, False),
    ],
)
def test_a_damaged_export_is_made_again(
    place, finished, train, no_training, name, is_lost
):
    path = place / EXPORT / name
    if is_lost:
        path.unlink()
    else:
        flip(path)
        damaged = path.read_bytes()
    train(place)
    before, after = tree(finished / EXPORT), tree(place / EXPORT)
    assert after.keys() == before.keys()
    assert after["model_card.md"] == before["model_card.md"]
    listed = manifests.read(place / EXPORT)
    assert listed and manifests.changed(place / EXPORT, listed) == []
    # A changed file is kept, since the change may be intended.
    aside = place / f"{EXPORT}.damaged-1" / name
    assert aside.exists() != is_lost
    assert is_lost or aside.read_bytes() == damaged


@pytest.mark.slow
def test_a_damaged_network_is_made_again_without_training(
    place, finished, train, no_training, caplog
):
    network = "work/teacher/teacher.keras"
    flip(place / network)
    report = train(place)
    assert "is missing or damaged; it is made again" in caplog.text
    for a, b in zip(
        weights_of(place / network),
        weights_of(finished / network),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert report == json.loads(
        (finished / "work/teacher/report.json").read_text()
    )


def test_a_damaged_network_without_checkpoints_is_refused(place, train):
    (place / "work/teacher/teacher.keras").unlink()
    shutil.rmtree(place / "work/teacher/checkpoints")
    before = tree(place)
    with pytest.raises(ValueError, match="teacher.keras, missing .*--restart"):
        train(place)
    assert tree(place) == before


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "versions.json",
        "metrics.jsonl",
        "report.json",
        manifests.NAME,
    ],
)
@pytest.mark.parametrize("content", [None, b"", b"[]", b"\xff"])
def test_a_damaged_record_is_refused(place, train, name, content):
    path = place / "work" / "teacher" / name
    if content is None:
        flip(path)
    else:
        path.write_bytes(content)
    before = tree(place)
    with pytest.raises(ValueError, match=rf"as it was written.*{name} \(.*; "):
        train(place)
    assert tree(place) == before


def test_the_record_of_another_run_is_refused(place, finished, train):
    other = json.loads((finished / "work/teacher/config.json").read_text())
    other["command"] = "another"
    (place / "work/teacher/config.json").write_text(json.dumps(other))
    with pytest.raises(ValueError, match=r"config.json \(its SHA-256 is not"):
        train(place)


def test_the_export_of_another_run_is_refused_before_training(
    place, train, no_training
):
    before = tree(place)
    message = (
        "must not be the export of another run. Received: the one of "
        r"/.*/work/teacher, with other seed \(was 0, is 1\), .*; take another "
        "--savedmodels or --config.name"
    )
    for restart in (False, True):
        with pytest.raises(ValueError, match=message):
            train(place, "other", restart=restart, seed=1)
    assert tree(place) == before


@pytest.mark.slow
def test_the_same_result_may_be_exported_from_another_directory(
    place, train, instant_training
):
    train(place, "other")
    record = json.loads((place / EXPORT / "config.json").read_text())
    assert record["directory"] == str(place / "other" / "teacher")
    # A run is known by its directory: --restart replaces its own export.
    train(place, "other", restart=True, seed=1)
    record = json.loads((place / EXPORT / "config.json").read_text())
    assert record["depends_on"]["seed"] == 1
    # The first run does not pass it off as its own.
    with pytest.raises(ValueError, match="the one of .*other/teacher, with"):
        train(place)

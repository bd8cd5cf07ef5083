"""Runs whose exports and stores are in object stores."""

import json
import pathlib

import example_sets
import pytest
from object_store import STORE, names
from stage_runs import small_config

from kd_keras.training import runs
from kd_keras.utils import manifests, tf_config

TINY = {
    "data.validation_examples": 0,
    "teacher.model": "mlp",
    "teacher.widths": (32,),
    "teacher.epochs": 3,
    "student.model": "mlp",
    "student.widths": (4,),
    "student.epochs": 1,
    "store.views": 1,
}


@pytest.fixture(scope="module")
def data(mnist):
    return example_sets.first_digits(mnist, train=300, test=50)


def train(data, place, savedmodels, stage, **fields):
    (report,) = runs.run(
        small_config(**{**TINY, **fields}),
        stages=[stage],
        workdir=place / "work",
        savedmodels=savedmodels,
        dataset=data,
        command="the command",
    )
    return report


@pytest.mark.slow
def test_exports_teach_and_stores_are_read_from_afar(data, bucket, tmp_path):
    models = f"{bucket}/models"
    train(data, tmp_path, models, "teacher")
    assert f"small_teacher/{manifests.NAME}" in names(models)
    path, finished = runs.label(
        small_config(**TINY),
        workdir=f"{bucket}/labels",
        savedmodels=models,
        dataset=data,
    )
    assert finished and path == f"{bucket}/labels/store"
    fields = {
        "teacher.path": f"{models}/small_teacher",
        "store.path": f"{bucket}/labels/store",
    }
    train(data, tmp_path, models, "student", **fields)
    assert f"small_student/{manifests.NAME}" in names(models)
    record = (tmp_path / "work" / "student" / "config.json").read_text()
    assert "/cache" not in json.dumps(json.loads(record)["depends_on"])


def test_several_workers_export_to_local_disk(data, bucket, monkeypatch):
    hosts = ["127.0.0.1:1234", "127.0.0.1:1235"]
    monkeypatch.setenv("TF_CONFIG", tf_config.text(hosts, 0))
    with pytest.raises(ValueError, match="--savedmodels of several workers"):
        train(data, pathlib.Path("none"), f"{bucket}/models", "teacher")
    assert not STORE.done


@pytest.mark.parametrize("path", ["gs://bucket/run", "https://host/run"])
def test_the_directory_of_a_run_is_local(data, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="--workdir .* must be"):
        runs.run(
            small_config(**TINY),
            stages=["teacher"],
            workdir=path,
            savedmodels="models",
            dataset=data,
        )
    assert not [*pathlib.Path().iterdir()]

"""Some digits, in small files, that the workers of all engines label."""

import json

import pytest
from stage_runs import export_dummy_teacher, small_config

from kd_keras.training import runs


@pytest.fixture(scope="session")
def config(tmp_path_factory):
    """Files of 500 training images and 5,000 test images."""
    teacher = tmp_path_factory.mktemp("teacher") / "teacher"
    export_dummy_teacher(teacher)
    return small_config(
        **{
            "teacher.path": str(teacher),
            "data.max_train_examples": 1100,
            "store.views": 2,
            "store.shard_views": 5000,
            "store.top_k": 3,
        }
    )


@pytest.fixture(scope="session")
def by_one_process(config, tmp_path_factory):
    """The store that one process writes."""
    path, finished = runs.label(
        config, workdir=tmp_path_factory.mktemp("one"), savedmodels="none"
    )
    assert finished
    return path


@pytest.fixture
def work(config, tmp_path):
    """The work of labelling `<tmp_path>/work/store`; see `worker.Worker`."""
    fields = config.copy_and_resolve_references()
    return {
        "config": json.loads(fields.to_json()),
        "workdir": str(tmp_path / "work"),
        "savedmodels": "none",
        "predictions": "",
        "shard": 0,
        "num_shards": 1,
        "directory": str(tmp_path),
        "import": [],
    }

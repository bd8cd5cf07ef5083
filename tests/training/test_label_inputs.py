"""Mistakes of a labelling that are found before TensorFlow is imported."""

import subprocess
import sys

import commands
import pytest

from kd_keras import config as config_lib
from kd_keras.training import label_inputs

_SCRIPT = """
import sys
from kd_keras import label
sys.argv = ["kd-keras label", *sys.argv[1:]]
try:
    label.cli()
finally:
    assert "tensorflow" not in sys.modules
"""


def check(predictions="", workdir="runs", **fields):
    config = config_lib.default_config()
    config.update_from_flattened_dict(fields)
    label_inputs.check(
        config,
        workdir=workdir,
        savedmodels="savedmodels",
        predictions=predictions,
    )


def test_missing_files_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("nothing", "torch:a:b, nothing"):
        with pytest.raises(ValueError, match=": nothing, which does"):
            check(**{"teacher.path": path})
    with pytest.raises(ValueError, match=r"savedmodels/\w+_teacher, which"):
        check()
    with pytest.raises(ValueError, match="--from must be a file.*a.npz, which"):
        check("a.npz")


def test_predictions_need_no_teacher(tmp_path):
    predictions = tmp_path / "a.npz"
    predictions.touch()
    check(str(predictions))
    with pytest.raises(ValueError, match=r"leave teacher\.path out"):
        check(str(predictions), **{"teacher.path": "a"})


@pytest.mark.parametrize(
    ("workdir", "path"),
    [("runs", "other/store"), ("runs", "gs://b/store"), ("gs://b", "store")],
)
def test_another_store_than_the_one_that_is_written_is_refused(workdir, path):
    fields = {"teacher.path": "gs://bucket/teacher", "store.path": path}
    with pytest.raises(
        ValueError, match=f"set --workdir.*{path}, and .*/store"
    ):
        check(workdir=workdir, **fields)


@pytest.mark.parametrize(
    ("workdir", "path"),
    [("runs", "auto"), ("runs", "./runs/store/"), ("gs://b", "gs://b/store")],
)
def test_the_store_that_is_written_may_be_named(workdir, path):
    fields = {"teacher.path": "gs://bucket/teacher", "store.path": path}
    check(workdir=workdir, **fields)


def test_remote_files_are_left_to_later():
    check(**{"teacher.path": "gs://bucket/teacher"})
    check("s3://bucket/a.npz")


def test_a_scheme_that_is_not_understood_is_refused():
    with pytest.raises(ValueError, match="--workdir must be a local path or"):
        check(workdir="hdfs://host/labels", **{"teacher.path": "gs://b/t"})


def test_the_command_refuses_without_tensorflow(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", _SCRIPT, "--shard=4", "--num_shards=2"],
        cwd=tmp_path,
        env=commands.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1
    assert result.stderr == (
        "error: --shard must be from 0 to 1, as --num_shards is 2. Received: "
        "--shard=4\n"
    )

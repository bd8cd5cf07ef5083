"""Devices, threads and versions that a training ran with."""

import json
import logging

import pytest
import tensorflow as tf

from kd_keras import config
from kd_keras.training import environments, run_directory


def test_the_environment_is_what_bits_depend_on():
    now = environments.current(tf.distribute.get_strategy())
    assert now["devices"] == "1 x CPU"
    assert now["threads"] >= 1 and now["processor"]
    assert now["tensorflow"] == tf.__version__
    assert {"keras", "kd_keras"} <= now.keys()
    assert environments.changes(now, dict(now)) == ""
    was = {**now, "threads": 96, "keras": "3.0"}
    assert environments.changes(was, now) == (
        f"threads {now['threads']} (was 96), keras {now['keras']} (was 3.0)"
    )


@pytest.fixture
def started(tmp_path, caplog):
    """Starts a run in an environment; returns its records and warnings."""
    run_dir = run_directory.RunDir(tmp_path / "student", "student")

    def start(environment):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            run_dir.start(
                config.default_config(),
                {},
                command="",
                environment=environment,
            )
        record = json.loads(run_dir.config_path.read_text())
        return record["environments"], caplog.messages

    start.checkpoint = run_dir.checkpoints_dir / "ckpt-1.index"
    return start


def test_a_training_that_resumes_elsewhere_is_recorded_and_warned_of(started):
    first, second = {"threads": 2}, {"threads": 4}
    assert started(first) == ([first], [])
    # No checkpoint: nothing of the first part is left.
    assert started(second) == ([second], [])
    started.checkpoint.parent.mkdir()
    started.checkpoint.touch()
    assert started(second) == ([second], [])
    records, (message,) = started(first)
    assert records == [second, first]
    assert message.startswith("student: resumes with threads 2 (was 4)")
    assert started(first) == ([second, first], [])

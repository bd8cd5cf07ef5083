"""The benchmark of several processes; its figures need a quiet machine."""

import os
import subprocess
import sys

import pytest

from benchmarks import cluster, cluster_table, commands
from kd_keras.utils import tf_config

FIGURES = {"rate": 10.0, "seconds": 90.0, "start_seconds": 8.0}


def results():
    label = (cluster_table.HALF, cluster_table.ONE)
    both = (*label, cluster_table.TWO)
    found = {
        "machine": {
            **dict.fromkeys(("processor", "python", "tensorflow"), "x"),
            **dict.fromkeys(("keras", "ray", "numpy"), "1.0"),
            "cores": 2,
        },
        "rounds": 1,
        "label": {name: dict(FIGURES) for name in (*both, cluster_table.RAY)},
        "train": {name: dict(FIGURES) for name in both},
        "killed": {
            "a worker": {"seconds": 97.0, "usual_seconds": 90.0},
            "another": {
                "seconds": 99.0,
                "usual_seconds": 90.0,
                "noticed_seconds": 3.21,
            },
        },
    }
    found["label"][cluster_table.TWO]["rate"] = 19.0
    return found


def test_the_table_has_the_ratios_and_the_time_that_is_lost():
    text = cluster_table.markdown(results())
    two, half, mark = cluster_table.LABEL_MARKS[0]
    assert f"| {two} | {half} | {mark} | 1.90 |\n" in text
    assert "| a worker | 90.0 | 97.0 | 7.0 | - |\n" in text
    assert "| another | 90.0 | 99.0 | 9.0 | 3.2 s |\n" in text


def test_every_contestant_of_the_table_is_measured(tmp_path):
    bench = cluster.Bench(tmp_path, views=1, epochs=2)
    for contestants, marks in (
        (bench.labellings(), cluster_table.LABEL_MARKS),
        (bench.trainings(), cluster_table.TRAIN_MARKS),
    ):
        named = {name for mark in marks for name in mark[:2]}
        assert set(contestants) == named


def test_medians_are_of_rounds_in_turns(capsys):
    seconds = iter([1.0, 10.0, 3.0, 30.0, 2.0, 20.0])

    def measure():
        return {"seconds": next(seconds)}

    found = cluster.alternate({"a": measure, "b": measure}, rounds=3)
    assert found == {"a": {"seconds": 2.0}, "b": {"seconds": 20.0}}


def test_a_command_that_fails_says_why_and_leaves_no_process(tmp_path):
    with (
        pytest.raises(RuntimeError, match="(?s)code 2; .*Did you mean 'label'"),
        commands.Command("labl", folder=tmp_path) as command,
    ):
        command.wait()
    assert command.descendants() == []


def test_workers_are_known_by_their_environment():
    hosts = ["127.0.0.1:1234", "127.0.0.1:1235"]
    code = "print('started', flush=True); input()"
    for index in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "TF_CONFIG": tf_config.text(hosts, index)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            process.stdout.readline()
            found = [commands.is_worker(process.pid, i) for i in range(2)]
            assert found == [index == 0, index == 1]
            assert not commands.is_ray_worker(process.pid)
            process.communicate(b"\n")

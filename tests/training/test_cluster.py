"""Trainings of two workers, each with two devices: together, ended, resumed."""

import json
import pathlib
import shutil
import sys
import time
import types

import commands
import many_workers
import pytest
from stage_runs import read_metrics, same_bits

pytestmark = pytest.mark.slow

_FIELDS = {
    "name": "small",
    "devices": "2",
    "data.validation_examples": 60,
    "data.max_train_examples": 200,
    "data.augment.translate": 1,
    "store.path": "auto",
    "store.views": 2,
    "teacher.model": "mlp",
    "teacher.widths": (32,),
    "teacher.dropout": (0.0, 0.1),
    "teacher.epochs": 3,
    "teacher.batch_size": 50,
    "student.model": "mlp",
    "student.widths": (32,),
    "student.dropout": (0.0, 0.1),
    "student.epochs": 2,
    # The last batch has rows for some of the replicas alone.
    "student.batch_size": 33,
    # Set here because the command line would have a recipe's values.
    **{
        f"{stage}.optimizer.{name}": value
        for stage in ("teacher", "student", "baseline")
        for name, value in (("learning_rate", 2e-2), ("warmup_epochs", 0.0))
    },
}
_LIMIT = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def found(folder):
    """Results of two workers in `cluster_checks.py`: list of namespaces."""
    script = pathlib.Path(__file__).with_name("cluster_checks.py")
    argv = [sys.executable, str(script), str(folder), json.dumps(_FIELDS)]
    results = many_workers.run(argv, cwd=folder, limit=_LIMIT, forked=True)
    return [types.SimpleNamespace(**result.json()) for result in results]


def test_values_come_from_all_workers_or_from_the_chief(found):
    chief, other = found
    assert (chief.index, other.index) == (0, 1)
    assert chief.is_chief and not other.is_chief
    for worker in found:
        assert worker.replicas == 4
        assert worker.gathered == [3, 303]
        assert worker.from_chief == {"mine": 0}
        assert worker.on_chief == [0]
        assert worker.cached


def test_workers_that_differ_are_refused_on_all(found):
    for worker in found:
        assert worker.equal is None
        assert "seed is 0 on worker 0 (127.0.0.1:" in worker.differing
        assert "1 on worker 1 (127.0.0.1:" in worker.differing
        assert worker.differing.endswith("; do this")
        assert "epochs" not in worker.differing
        assert "config.json is" in worker.unseen
        assert "absent on worker 1" in worker.unseen
        assert "a file system that they share" in worker.unseen


def test_a_state_holds_what_differs_between_the_replicas_of_all(found):
    for mine, worker in enumerate(found):
        saved, first, restored = worker.copies
        # The first replica's is saved by TensorFlow.
        assert saved == [[1.0, 0.5], [10.0, 0.5], [11.0, 0.5]]
        assert first == [10.0 * mine, 0.5]
        expected = [[10.0 * mine + i, 0.5] for i in range(2)]
        if mine == 0:
            expected[0] = [-1.0, -1.0]
        assert restored == expected


def test_a_failure_and_an_interruption_reach_a_worker_that_waits(found):
    chief, other = found
    assert "worker 1 (127.0.0.1:" in chief.failure
    assert "has ended: files must exist" in chief.failure
    assert "No space left" in other.failure
    assert other.interrupted
    assert chief.terminated and other.terminated


def test_all_workers_have_the_chief_s_reports(found, folder):
    chief, other = found
    assert chief.reports == other.reports
    for report in chief.reports:
        path = folder / "whole/runs" / report["stage"]
        assert json.loads((path / "report.json").read_text()) == report
        record = json.loads((path / "config.json").read_text())
        assert record["depends_on"]["workers"] == 2
        assert record["environments"][0]["devices"] == "4 x CPU of 2 workers"
        # One process alone writes.
        for name in ("train", "views"):
            written = (path / "tensorboard" / name).glob("events*")
            assert len(list(written)) == 1


def test_a_killed_worker_ends_the_other_and_all_resume_bit_for_bit(
    found, folder
):
    # A state after every step.
    fields = {**_FIELDS, "checkpoint_minutes": 1e-9}
    argv = commands.command("--stage=student", *map(_flag, fields.items()))
    resumed = folder / "resumed"
    teacher = "savedmodels/small_teacher"
    shutil.copytree(folder / "whole" / teacher, resumed / teacher)
    store = "runs/small/store"
    shutil.copytree(folder / "whole/runs/store", resumed / store)
    states = resumed / "runs/small/student/checkpoints"
    with many_workers.start(
        argv, cwd=resumed, limit=_LIMIT, forked=True
    ) as workers:
        while not list(states.glob("ckpt-1-[2-9].index")):
            assert all(process.poll() is None for process in workers.processes)
            time.sleep(0.05)
        workers.kill(1)
        chief, killed = workers.wait()
    assert chief.returncode == 1 and killed.returncode == -9
    assert chief.seconds - killed.seconds < 60
    last = chief.stderr.splitlines()[-1]
    assert last.startswith("error: all workers must run until the training")
    assert "Received: worker 1 (127.0.0.1:" in last
    assert "Traceback" not in chief.stderr

    chief, other = many_workers.run(
        argv, cwd=resumed, limit=_LIMIT, forked=True
    )
    assert chief.returncode == other.returncode == 0, chief.stderr
    assert "student: resumes after epoch 1 of 2, step" in chief.stderr
    assert "test errors" in chief.stdout and "test errors" not in other.stdout
    whole = folder / "whole/runs/student"
    again = resumed / "runs/small/student"
    assert same_bits(whole / "student.keras", again / "student.keras")
    assert _logs(whole) == _logs(again)


def _flag(field):
    name, value = field
    if isinstance(value, tuple):
        value = "".join(f"{x}," for x in value)
    return f"--config.{name}={value}"


def _logs(run_dir):
    """The epochs of a run without what depends on the clock."""
    return [
        {k: v for k, v in line.items() if "second" not in k}
        for line in read_metrics(run_dir / "metrics.jsonl")
    ]

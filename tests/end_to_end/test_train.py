"""`train` and `label` run whole, killed, on a full disk and in parts."""

import json
import os
import re
import signal
import subprocess
import time
import types

import keras
import numpy as np
import pytest
from commands import (
    REPOSITORY,
    Forked,
    assert_one_line,
    command,
    environment,
    heed_interruptions,
    run,
    run_forked,
)

from kd_keras.training import checkpoints
from kd_keras.utils import locks

pytestmark = pytest.mark.slow
SMALL = (
    "--config.data.max_train_examples=640",
    "--config.data.validation_examples=64",
    "--config.baseline.labels_per_class=0",
    "--config.teacher.widths=(4, 8)",
    "--config.teacher.batch_size=64",
    "--config.student.batch_size=64",
)


def test_train_runs_all_stages_and_prints_a_table(tmp_path):
    result = run(
        *SMALL,
        "--config.teacher.epochs=1",
        "--config.student.epochs=1",
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    for stage in ("teacher", "student", "baseline"):
        folder = tmp_path / "runs" / "mnist" / stage
        report = json.loads((folder / "report.json").read_text())
        row = next(
            line
            for line in result.stdout.splitlines()
            if line.startswith(stage)
        )
        assert f"{report['test_errors']:,} of 10,000" in row
        assert f"{report['parameters']:,}" in row
        assert (tmp_path / f"savedmodels/mnist_{stage}/saved_model.pb").exists()
    assert "savedmodels/mnist_student" in result.stdout
    assert "tensorboard.main --logdir runs/mnist" in result.stdout
    # Only our lines about data, sizes, devices and steps.
    lines = result.stderr.strip().splitlines()
    assert lines[0].startswith("data: mnist from the kd_keras package: 640")
    assert all(
        line.split(":")[0] in ("data", "teacher", "student", "baseline")
        for line in lines
    ), result.stderr


def test_a_worthless_model_is_written_and_the_exit_code_is_1(tmp_path):
    flags = [
        *SMALL,
        "--stage=teacher",
        "--config.teacher.epochs=1",
        "--config.teacher.optimizer.learning_rate=0.01",
        # Every step shrinks all weights to 0.
        "--config.teacher.optimizer.weight_decay=100",
    ]
    cases = [[str(tmp_path), flags]]
    ((code, output),) = run_forked("kd_keras.train", cases)
    assert code == 1
    *_, last = output.splitlines()
    assert last.startswith("error: ") and "no better than chance" in last
    assert (tmp_path / "savedmodels/mnist_teacher/saved_model.pb").exists()


def stop_in_epoch(
    process, log, epoch, *, run_dir, by=signal.SIGKILL, deadline=240
):
    """Sends a signal as soon as the log shows the start of an epoch.

    Until then the process holds its run directory.
    """
    start = time.time()
    while f"Epoch {epoch}/" not in log.read_text():
        assert process.poll() is None and time.time() - start < deadline
        time.sleep(0.05)
    with (
        pytest.raises(ValueError, match=f"held by process {process.pid} on"),
        locks.holding(run_dir),
    ):
        pass
    time.sleep(0.3)
    os.kill(process.pid, by)
    process.wait()


def test_a_run_killed_twice_ends_in_the_same_bits(tmp_path):
    flags = [
        *SMALL[1:],
        "--stage=teacher",
        "--config.data.max_train_examples=6400",
        "--config.teacher.epochs=4",
        # Several states an epoch.
        "--config.checkpoint_minutes=2e-3",
    ]
    whole = [*flags, "--workdir=whole", "--savedmodels=a"]
    killed = [*flags, "--workdir=killed", "--savedmodels=b"]
    run_dir = tmp_path / "killed" / "teacher"
    for epoch in (1, 3):
        process = Forked(
            command(*killed),
            cwd=tmp_path,
            env=environment(),
            outputs=tmp_path / f"{epoch}",
        )
        log = tmp_path / f"{epoch}.stdout"
        stop_in_epoch(process, log, epoch, run_dir=run_dir)
        assert not (run_dir / "report.json").exists()
    *_, last = checkpoints.saved_positions(run_dir / "checkpoints")
    cases = [[str(tmp_path), flags] for flags in (killed, whole)]
    (code, rest), (whole_code, _) = run_forked("kd_keras.train", cases)
    assert code == whole_code == 0, rest
    step = f", step {last.steps} of 100" if last.steps else ""
    resumed = f"resumes after epoch {last.epochs} of 4{step}, from"
    assert resumed in rest
    networks = [
        keras.models.load_model(tmp_path / f"{name}/teacher/teacher.keras")
        for name in ("whole", "killed")
    ]
    for a, b in zip(*(network.get_weights() for network in networks)):
        np.testing.assert_array_equal(a, b)
    whole_files, killed_files = (
        {
            # The step of the state before the last one depends on the time.
            re.sub(r"ckpt-3(-\d+)?", "ckpt-3", str(path.relative_to(root)))
            for path in root.rglob("*")
            if "tensorboard" not in path.parts
        }
        for root in (tmp_path / "whole", tmp_path / "killed")
    )
    # Nothing is left of the killed processes: no lock, no half-written file.
    assert whole_files == killed_files
    assert not list((tmp_path / "b").glob(".*"))


def test_an_interrupted_run_exits_with_130(tmp_path):
    # So long that it cannot end before the signal.
    flags = ["--stage=teacher", "--config.teacher.epochs=1000"]
    log, errors = tmp_path / "log", tmp_path / "errors"
    with log.open("w") as output, errors.open("w") as error_output:
        process = subprocess.Popen(
            command(*SMALL, *flags),
            cwd=tmp_path,
            env=environment(),
            stdout=output,
            stderr=error_output,
            preexec_fn=heed_interruptions,
        )
        run_dir = tmp_path / "runs" / "mnist" / "teacher"
        stop_in_epoch(process, log, 1, run_dir=run_dir, by=signal.SIGINT)
    assert process.returncode == 130
    assert checkpoints.saved_positions(run_dir / "checkpoints")
    text = errors.read_text()
    assert text.splitlines()[-1].startswith("interrupted; ")
    assert "Traceback" not in text


def test_a_full_disk_gives_one_line(tmp_path):
    # A limit of 20 kB a file acts like a disk that fills up.
    result = run(
        *SMALL,
        "--stage=teacher",
        "--config.teacher.epochs=1",
        cwd=tmp_path,
        prefix=["bash", "-c", 'ulimit -f 20; exec "$@"', "bash"],
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and "File too large" in last


def test_a_store_is_labelled_in_parts_and_distilled_from(tmp_path):
    flags = [
        *SMALL,
        "--config.student.epochs=2",
        "--config.store.views=2",
        f"--config.teacher.path={REPOSITORY / 'savedmodels/mnist_teacher'}",
    ]

    def run_all(directory, *command_lines):
        directory.mkdir()
        answers = run_forked(
            "documented_command",
            [
                [str(directory), [name, *flags, *more]]
                for name, *more in command_lines
            ],
        )
        return [
            types.SimpleNamespace(returncode=code, stderr=output)
            for code, output in answers
        ]

    refused = run_all(
        tmp_path / "refused",
        ["label", "--shard=2", "--num_shards=2"],
        ["label", "--config.store.top_k=10"],
        ["label", "--task=9"],
        ["label", "--task=0", "--jobs=2"],
        ["label", "--ray_address=head:6379"],
        ["label", "--engine=rai"],
    )
    assert_one_line(refused[0], "--num_shards is 2. Received: --shard=2")
    assert_one_line(refused[1], "Received: 10 of 10")
    assert_one_line(refused[2], "from 0 to 2, as this store has 3 tasks")
    assert_one_line(refused[3], "Received: --task and --jobs")
    assert_one_line(refused[4], "needs --engine=ray")
    assert_one_line(refused[5], "Did you mean 'ray'?")
    assert not list((tmp_path / "refused").iterdir())
    small_files = "--config.store.shard_views=1000"
    first, last, again, student, other = run_all(
        tmp_path / "used",
        ["label", small_files, "--shard=0", "--num_shards=2"],
        ["label", small_files, "--shard=1", "--num_shards=2"],
        ["label", small_files],
        ["train", "--stage=student", "--config.store.path=runs/mnist/store"],
        ["label", "--config.seed=1"],
    )
    assert first.returncode == 0, first.stderr
    assert "others are not yet: 2 tasks are left" in first.stderr
    # One line for each file, with the rate and the remaining time.
    assert "a second, 0 seconds left" in first.stderr
    assert "runs/mnist/store is finished" in last.stderr
    assert "finished before" in again.stderr
    assert student.returncode == 0, student.stderr
    assert "store: runs/mnist/store, 2 views" in student.stderr
    assert_one_line(other, "data.augment.seed (was 0, is 1)")

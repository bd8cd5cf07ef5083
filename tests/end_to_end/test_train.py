"""The command line, as a user runs it: in a process of its own."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

REPOSITORY = pathlib.Path(__file__).parents[2]
SMALL = (
    "--config.data.max_train_examples=640",
    "--config.data.validation_examples=64",
    "--config.teacher.widths=(4, 8)",
    "--config.teacher.batch_size=64",
    "--config.student.batch_size=64",
)


def command(*flags, module="train"):
    return [sys.executable, "-m", f"kd_keras.{module}", *flags]


def environment():
    return {
        **os.environ,
        "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests'}",
    }


def train(*flags, cwd, prefix=(), timeout=300, module="train"):
    return subprocess.run(
        [*prefix, *command(*flags, module=module)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("train", ("--stage", "--config", "--workdir", "restart", "Examples")),
        ("label", ("--shard", "--config", "--workdir", "store", "Examples")),
        ("evaluate", ("--model", "--teacher", "--split", "--output", "Examp")),
        ("export", ("--formats", "litert_int8", "--output", "Examples")),
        ("latency", ("--models", "--threads", "--output", "Examples")),
        ("report", ("--workdir", "--exports", "--serve", "Examples")),
    ],
)
def test_help_helps_without_tensorflow(tmp_path, module, words):
    arguments = command("--help", module=module)[1:]
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0
    for word in words:
        assert word in result.stdout
    assert " tensorflow" not in result.stderr


def test_all_stages_by_default_then_a_table(tmp_path):
    result = train(
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
    # What is loaded, sizes, device and steps, a line each; nothing else.
    lines = result.stderr.strip().splitlines()
    assert lines[0].startswith("data: mnist from the kd_keras package: 640")
    assert all(
        line.split(":")[0] in ("data", "teacher", "student", "baseline")
        for line in lines
    ), result.stderr


def kill_in_epoch(process, log, epoch, deadline=240):
    """kill -9 as soon as the log shows the epoch's first lines."""
    start = time.time()
    while f"Epoch {epoch}/" not in log.read_text():
        assert process.poll() is None and time.time() - start < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_killed_at_any_moment_it_ends_in_the_same_bits(tmp_path):
    flags = [
        *SMALL,
        "--stage=teacher",
        "--config.data.max_train_examples=6400",
        "--config.teacher.epochs=4",
    ]
    whole = train(*flags, "--workdir=whole", "--savedmodels=a", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    log = tmp_path / "log"
    for epoch in (1, 3):
        with log.open("w") as output:
            process = subprocess.Popen(
                command(*flags, "--workdir=killed", "--savedmodels=b"),
                cwd=tmp_path,
                env=environment(),
                stdout=output,
                stderr=subprocess.DEVNULL,
            )
            kill_in_epoch(process, log, epoch)
        assert not (tmp_path / "killed/teacher/report.json").exists()
    rest = train(*flags, "--workdir=killed", "--savedmodels=b", cwd=tmp_path)
    assert rest.returncode == 0, rest.stderr
    assert "goes on after epoch" in rest.stderr
    networks = [
        keras.models.load_model(tmp_path / f"{run}/teacher/teacher.keras")
        for run in ("whole", "killed")
    ]
    for a, b in zip(*(network.get_weights() for network in networks)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--stage=studnet"], "Did you mean 'student'?"),
        (["--stag=student"], "Did you mean: stage"),
        (
            ["--config.studnet.epochs=3"],
            "Received: --config.studnet.epochs. Did you mean 'student'?",
        ),
        (
            ["--config.student.epohs=3"],
            "Received: --config.student.epohs. Did you mean 'epochs'?",
        ),
        (
            ["--config.baseline.optimizer.lerning_rate=3"],
            "optimizer.lerning_rate. Did you mean 'learning_rate'?",
        ),
        (["--config.student.zzz=3"], "Received: --config.student.zzz."),
        (["--config.student.epochs=many"], "many"),
        (["--config=nowhere.py"], "Received: 'nowhere.py', which is no file"),
        (["--config", "nowhere.py"], "'nowhere.py', which is no file"),
        (
            [f"--config={REPOSITORY / 'configs/paper_mnist.py'}:nothing"],
            "configuration file: ValueError: the experiment must be one of",
        ),
        (["student"], "must be a flag"),
        (["--config.distill.temperature=0"], "Received: 0.0"),
    ],
)
def test_a_wrong_command_gives_one_line(tmp_path, flags, message):
    result = train(*flags, cwd=tmp_path)
    assert_one_line(result, message)
    assert not list(tmp_path.iterdir())


def assert_one_line(result, message):
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("error: ") and message in lines[-1]
    assert "Traceback" not in result.stderr
    # Nothing but our own lines of what was loaded before.
    assert all(line.startswith(("data: ", "teacher: ")) for line in lines[:-1])


def test_errors_from_within_give_one_line_too(tmp_path):
    assert_one_line(
        train("--stage=student", cwd=tmp_path), "run --stage=teacher first"
    )
    assert not list(tmp_path.iterdir())
    # A directory that cannot be written: its parent is a file.
    (tmp_path / "file").touch()
    assert_one_line(
        train(*SMALL, "--stage=teacher", "--workdir=file/run", cwd=tmp_path),
        "Not a directory: file/run",
    )


def test_a_full_disk_gives_one_line(tmp_path):
    """Files limited to 20 kB stand for a disk that fills up."""
    result = train(
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

    def label(*more):
        return train(*flags, *more, cwd=tmp_path, module="label")

    assert_one_line(label("--shard=2", "--num_shards=2"), "2 of 2")
    assert_one_line(label("--config.store.top_k=10"), "Received: 10 of 10")
    assert not list(tmp_path.iterdir())
    small_files = "--config.store.shard_views=1000"
    first = label(small_files, "--shard=0", "--num_shards=2")
    assert first.returncode == 0, first.stderr
    assert "others are not yet" in first.stdout
    # A line a file, with the rate and the time that is left.
    assert "a second, 0 seconds left" in first.stderr
    last = label(small_files, "--shard=1", "--num_shards=2")
    assert "runs/mnist/store is finished" in last.stdout
    again = label(small_files)
    assert "finished before" in again.stderr
    student = train(
        *flags,
        "--stage=student",
        "--config.store.path=runs/mnist/store",
        cwd=tmp_path,
    )
    assert student.returncode == 0, student.stderr
    assert "store: runs/mnist/store, 2 views" in student.stderr
    assert_one_line(label("--config.seed=1"), "spec.seed (was 0, is 1)")

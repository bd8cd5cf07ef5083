"""Errors of `launch` and of TF_CONFIG, without TensorFlow."""

import socket
import subprocess
import sys

import pytest
from commands import assert_one_line, command, environment, run

from kd_keras.utils import ports, rendezvous, tf_config


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "behind --: kd-keras launch --workers=2 -- train"),
        (["train", "--config=mnist"], "Received: no --"),
        (["--workers=2", "--"], "Received: nothing behind --"),
        (["--", "trian"], "Received: 'trian'. Did you mean 'train'?"),
        (["--", "label"], "must be one of train. Received: 'label'"),
        (["--workers=0", "--", "train"], "whole number from 1 to 64"),
        (["--wrkers=2", "--", "train"], "Did you mean '--workers'?"),
    ],
)
def test_a_wrong_command_is_one_line(tmp_path, arguments, message):
    result = run(*arguments, cwd=tmp_path, module="launch", timeout=60)
    assert_one_line(result, message)


def test_a_tf_config_that_is_set_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    result = run("--", "train", cwd=tmp_path, module="launch", timeout=60)
    assert_one_line(result, "launch sets TF_CONFIG itself")


def test_a_malformed_tf_config_ends_a_training_before_tensorflow_starts(
    tmp_path,
):
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *command()[1:]],
        cwd=tmp_path,
        env={**environment(), "TF_CONFIG": "{"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: TF_CONFIG must be JSON, such as ")
    assert " tensorflow" not in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_error_of_the_workers_is_the_commands(tmp_path):
    flags = ["--workers=2", "--", "train", "--stage=studnet"]
    code, pieces = written_pieces(*flags, cwd=tmp_path)
    assert code == 1
    # Another process could write between two parts of a line.
    assert all(piece.endswith("\n") for piece in pieces), pieces
    lines = "".join(pieces).splitlines()
    error = "error: --stage must be one of all, teacher, student, baseline, "
    told = "cluster: tells the other workers"
    # In any order.
    for start in (
        error,
        told,
        f"[worker 1] {error}",
        f"[worker 1] {told}",
        "launch: worker ",
    ):
        assert sum(line.startswith(start) for line in lines) == 1, lines
    assert not list(tmp_path.iterdir())


def written_pieces(*flags, cwd):
    """Runs `launch` with Pythons that do not buffer.

    Returns:
        `(exit code, pieces)`: the text of each write to stderr, a list of str.
    """
    # Keeps the writes apart, and waits for the processes of the command, too.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            process = subprocess.Popen(
                command(*flags, module="launch"),
                cwd=cwd,
                env={**environment(), "PYTHONUNBUFFERED": "1"},
                stderr=theirs,
            )
        ours.settimeout(120)
        pieces = list(iter(lambda: ours.recv(65536).decode(), ""))
    return process.wait(60), pieces


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--stage=studnet", "--stage must be one of all, teacher"),
        ("--config.seed=one", "--config.seed must be"),
        ("--import=nothing_there", "--import must name modules"),
    ],
)
def test_a_worker_that_fails_early_tells_the_others(tmp_path, flag, message):
    hosts = tuple(f"127.0.0.1:{port}" for port in ports.free(2))
    worker = subprocess.Popen(
        command(flag),
        cwd=tmp_path,
        env={**environment(), "TF_CONFIG": tf_config.text(hosts, 1)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with pytest.raises(ValueError, match=rf"worker 1 .* cannot: {message}"):
        rendezvous.meet(tf_config.Workers(hosts, 0), {}, 60)
    _, stderr = worker.communicate(timeout=60)
    assert worker.returncode == 1
    first, second = stderr.splitlines()
    assert first.startswith(f"error: {message}")
    assert second.startswith("cluster: tells the other workers")

"""Help and errors of every command."""

import subprocess
import sys
import types

import pytest
from commands import (
    REPOSITORY,
    assert_one_line,
    command,
    environment,
    run,
    run_forked,
)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("views", ("--config", "--count", "--views", "--output", "Examples")),
        ("train", ("--stage", "--config", "--workdir", "restart", "Examples")),
        ("label", ("--shard", "--config", "--workdir", "store", "Examples")),
        ("evaluate", ("--model", "--teacher", "--split", "--output", "Examp")),
        ("export", ("--formats", "litert_int8", "--output", "Examples")),
        ("latency", ("--models", "--threads", "--output", "Examples")),
        ("report", ("--workdir", "--exports", "--serve", "Examples")),
        ("launch", ("--workers", "-- train", "CPU", "Examples")),
    ],
)
def test_help_describes_the_command_without_tensorflow(tmp_path, module, words):
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
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--stage=studnet"], "Did you mean 'student'?"),
        (["--stge=student"], "Received: --stge. Did you mean '--stage'?"),
        (
            ["--config.studnet.epochs=3"],
            "--config.studnet.epochs. Did you mean 'student.epochs'?",
        ),
        (
            ["--config.student.epohs=3"],
            "--config.student.epohs. Did you mean 'student.epochs'?",
        ),
        (
            ["--config.baseline.optimizer.lerning_rate=3"],
            "Did you mean 'baseline.optimizer.learning_rate'?",
        ),
        (["--config.student.zzz=3"], "Received: --config.student.zzz."),
        (["--config.student.epochs=many"], "must be a whole number."),
        (["--config=nowhere.py"], "'nowhere.py'"),
        (["--config", "nowhere.py"], "'nowhere.py'"),
        (
            [f"--config={REPOSITORY / 'configs/paper_mnist.py'}:nothing"],
            "ValueError: the experiment must be one of",
        ),
        (["student"], "must be a flag"),
        (["--config.distill.temperature=0"], "Received: 0.0"),
    ],
)
def test_a_wrong_argument_gives_one_line(tmp_path, flags, message):
    assert_one_line(run(*flags, cwd=tmp_path), message)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_error_while_training_gives_one_line(tmp_path):
    # The run directory cannot be made: its parent is a file.
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "file").touch()
    empty = tmp_path / "empty"
    empty.mkdir()
    answers = run_forked(
        "kd_keras.train",
        [
            [str(empty), ["--stage=student"]],
            [str(occupied), ["--stage=teacher", "--workdir=file/run"]],
        ],
    )
    messages = (
        "kd-keras train --stage=teacher first",
        "need a directory. Received: file/run/teacher, where a file is",
    )
    for (code, output), message in zip(answers, messages, strict=True):
        result = types.SimpleNamespace(returncode=code, stderr=output)
        assert_one_line(result, message)
    assert not list(empty.iterdir())

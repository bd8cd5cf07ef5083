"""Help, errors and exit codes of a small command of the tests' own."""

import os
import pathlib
import subprocess
import sys

import pytest

from kd_keras.utils import command_line

REPOSITORY = pathlib.Path(__file__).parents[2]
PROGRAM = '''
"""Adds numbers.

Examples:
  add --numbers=1,2
"""
import sys

from absl import flags
from ml_collections import config_flags

from kd_keras.utils import command_line

flags.adopt_module_key_flags(command_line)
flags.DEFINE_list("numbers", ["1", "2"], "What is added. " + "More words. " * 9)
flags.DEFINE_integer("start", 0, "The first summand.")
flags.DEFINE_string("output", None, "A file.")
CONFIG = config_flags.DEFINE_config_file("config", None, "A file of settings.")


def main():
    {body}


command_line.run(main, default_config="default.py")
'''
DEFAULT = """
import ml_collections


def get_config(name="none"):
    return ml_collections.ConfigDict({"size": 1, "name": name})
"""


def run(directory, *arguments, body="print('ran')"):
    (directory / "add.py").write_text(PROGRAM.replace("{body}", body))
    (directory / "default.py").write_text(DEFAULT)
    return subprocess.run(
        [sys.executable, "add.py", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_command_that_succeeds_exits_with_0(tmp_path):
    result = run(tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "ran\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["--start=x", "-h"]])
def test_help_shows_the_docstring_and_the_flags(tmp_path, arguments):
    result = run(tmp_path, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "Adds numbers."
    assert max(map(len, lines)) < 80
    flags = result.stdout.partition("Flags:\n")[2]
    words = " ".join(flags.split())
    assert "--[no]debug Show the traceback of an error. --numbers" in words
    assert "More words. (default: 1,2) --output A file. --start" in words
    assert words.endswith("--start The first summand. (default: 0)")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise ValueError('a must hold.\\nReceived: b')", "a must hold."),
        ("open('nowhere')", "No such file or directory: nowhere"),
        (
            "raise ValueError('Traceback (most recent call last)')",
            "error: Traceback",
        ),
    ],
)
def test_an_error_about_the_input_is_one_line(tmp_path, body, line):
    result = run(tmp_path, body=body)
    assert result.returncode == 1
    (error,) = result.stderr.splitlines()
    assert error.startswith("error: ") and line in error


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        # An error of the code, and an error of the input with --debug.
        ("raise RuntimeError('a bug')", []),
        ("raise ValueError('b')", ["--debug"]),
    ],
)
def test_other_errors_keep_their_traceback(tmp_path, body, arguments):
    result = run(tmp_path, *arguments, body=body)
    assert result.returncode == 1
    assert "Traceback (most recent call last)" in result.stderr


def test_an_interruption_exits_with_130(tmp_path):
    result = run(tmp_path, body="raise KeyboardInterrupt")
    assert result.returncode == 130
    assert result.stderr.strip().startswith("interrupted; ")


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ([], "1 none"),
        (["--config.size=2"], "2 none"),
        (["--config=other.py"], "1 none"),
        (["--config=other.py:small", "--config.size=3"], "3 small"),
        (["--config", "other.py:small", "--config.size=3"], "3 small"),
    ],
)
def test_a_configuration_file_is_found_and_overridden(
    tmp_path, arguments, output
):
    (tmp_path / "other.py").write_text(DEFAULT)
    body = "print(CONFIG.value.size, CONFIG.value.name)"
    result = run(tmp_path, *arguments, body=body)
    assert (result.returncode, result.stdout) == (0, f"{output}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.sise=1"], "--config.sise. Did you mean 'size'?"),
        (["--strat=1"], "Did you mean: start"),
        (["--start=x"], "x"),
        (["more"], "every argument must be a flag"),
    ],
)
def test_a_wrong_argument_is_one_line(tmp_path, arguments, message):
    result = run(tmp_path, *arguments)
    assert result.returncode == 1
    (error,) = result.stderr.splitlines()
    assert error.startswith("error: ") and message in error


def test_the_recorded_command_of_a_module_can_be_run_again(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/x/train.py", "--config.name=a b"])
    recorded = command_line.command("kd_keras.train")
    assert recorded == "python -m kd_keras.train '--config.name=a b'"

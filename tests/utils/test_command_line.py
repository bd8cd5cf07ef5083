"""Help, errors and exit codes of a small command of the tests' own."""

import gc
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from kd_keras.utils import command_line, interruption

REPOSITORY = pathlib.Path(__file__).parents[2]
PROGRAM = '''
"""Adds numbers.

Examples:
  add --numbers=1,2
"""
import sys

from absl import flags

from kd_keras.utils import arguments, command_line

flags.adopt_module_key_flags(command_line)
flags.DEFINE_list("numbers", ["1", "2"], "What is added. " + "More words. " * 9)
flags.DEFINE_integer("start", 0, "The first summand.")
flags.DEFINE_string("output", None, "A file.")
flags.DEFINE_bool("twice", False, "Adds them twice.")
flags.DEFINE_enum("mean", "none", ["none", "geometric"], "Takes a mean.")
flags.DEFINE_float("scale", 1.0, "Multiplies.")
flags.DEFINE(
    arguments.SectionParser("--size.height=3"), "size", None, "A size."
)
SIZE = arguments.define_fields("size")


def main():
    {body}


command_line.run(main)
'''


def run(directory, *arguments, body="print('ran')"):
    (directory / "add.py").write_text(PROGRAM.replace("{body}", body))
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
    assert "--[no]debug Show the traceback of an error. --import" in words
    assert "More words. (default: 1,2) --output A file. --scale" in words
    assert "--size A size. --start The first summand. (default: 0)" in words


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise ValueError('a must hold.\\nReceived: b')", "a must hold."),
        ("open('nowhere')", "No such file or directory: nowhere"),
        (
            "raise ValueError('Traceback (most recent call last)')",
            "error: Traceback",
        ),
        (
            # As TensorFlow wraps an error of ours in a pipeline.
            "raise ValueError('{{node}} In f: FormatError: gone: a.png\\n"
            "Traceback (most recent call last):\\n  File f\\n')",
            "error: gone: a.png",
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


def test_a_termination_says_how_to_continue_and_ends_by_its_signal(tmp_path):
    # Also where the messages of libraries are dropped.
    body = """
    import signal
    from kd_keras.utils import quiet
    with quiet.without_messages():
        signal.raise_signal(signal.SIGTERM)
    print("never")
"""
    result = run(tmp_path, body=body)
    assert result.returncode == -signal.SIGTERM
    assert result.stdout == ""
    assert result.stderr.strip() == interruption.MESSAGE


def test_an_interruption_is_known_behind_another_error(tmp_path):
    # TensorFlow's step function may raise a SystemError instead.
    body = """
    import contextlib, signal
    from kd_keras.utils import interruption
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interruption.exit_at_once()
    interruption.raise_error()
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    raise SystemError("bad argument to internal function")
"""
    result = run(tmp_path, body=body)
    assert result.returncode == 130
    assert result.stderr.strip().startswith("interrupted; ")


@pytest.mark.parametrize(
    ("variables", "code", "text"),
    [
        # Only the terminal's encoding: characters that it lacks are escaped.
        ({"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}, 0, "\\xe9\n"),
        (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            1,
            "error: Python must read and write UTF-8: set PYTHONUTF8=1.",
        ),
    ],
)
def test_an_ascii_locale_works_or_is_refused(
    tmp_path, monkeypatch, variables, code, text
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = run(tmp_path, body="print(chr(233))")
    assert result.returncode == code
    assert text in result.stdout + result.stderr


def test_the_recorded_command_of_a_module_can_be_run_again(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/x/train.py", "--config.name=a b"])
    recorded = command_line.command("kd_keras.train")
    assert recorded == "python -m kd_keras.train '--config.name=a b'"


def test_imports_do_not_wait_for_the_search_for_garbage():
    assert gc.isenabled()
    with command_line.importing():
        assert not gc.isenabled()
        with command_line.importing():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_is_imported_with_tensorflow_is_never_searched(monkeypatch):
    frozen = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(True))
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    with command_line.importing():
        monkeypatch.setitem(sys.modules, "tensorflow", None)
        assert not frozen
    assert frozen
    # Objects of a running program must not be frozen.
    with command_line.importing():
        pass
    assert len(frozen) == 1


def test_modules_are_imported_first(tmp_path):
    (tmp_path / "own.py").write_text("print('imported')")
    result = run(tmp_path, "--import=own")
    assert (result.returncode, result.stdout) == (0, "imported\nran\n")
    result = run(tmp_path, "--import=other")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: --import must name modules")
    assert len(result.stderr.splitlines()) == 1

"""Help is read by pagers, which may stop after its beginning."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ("kd_keras", "--help"),
        ("kd_keras", "--help-config"),
        ("kd_keras.train", "--help-config"),
        ("kd_keras.label", "--help"),
    ],
    ids=" ".join,
)
def test_help_ends_quietly_when_its_reader_has_ended(arguments):
    program = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    program.stdout.close()
    with program:
        assert program.stderr.read() == b""
    assert program.returncode == 0

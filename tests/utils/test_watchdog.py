"""A process whose wait has no end is ended by another one."""

import subprocess
import sys
import textwrap

import commands

_SCRIPT = """
import ctypes
from kd_keras.utils import watchdog

with watchdog.limiting(300, "error: too early"):
    pass
with watchdog.limiting(0.2, "error: the others must come"):
    # As TensorFlow does: in C, with the interpreter's lock.
    ctypes.PyDLL(None).sleep(300)
"""


def test_a_wait_in_c_is_ended_with_one_line():
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_SCRIPT)],
        env=commands.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == -9
    assert result.stderr == "error: the others must come\n"

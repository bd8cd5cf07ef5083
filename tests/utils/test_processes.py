"""The identity and the end of a process."""

import os
import pathlib
import subprocess
import sys

import commands

from kd_keras.utils import processes


def test_a_process_is_known_by_host_boot_and_number():
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()
    identity = processes.this_process()
    assert identity == {
        "host": os.uname().nodename,
        "boot": boot.strip(),
        "process": os.getpid(),
    }


def end(body):
    """Runs a script whose command has `body`: `CompletedProcess`."""
    script = f"""
import atexit, sys
from kd_keras.utils import processes

atexit.register(lambda: print("cleaned up"))
with processes.ending_at_once():
    print("runs")
    {body}
"""
    return subprocess.run(
        [sys.executable, "-c", script],
        env=commands.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_command_ends_without_cleanup_where_that_would_wait():
    at_once = "processes.end_without_cleanup(); "
    usual = end("sys.exit(3)")
    assert (usual.returncode, usual.stdout) == (3, "runs\ncleaned up\n")
    for exit_code in (0, 3):
        ended = end(f"{at_once}sys.exit({exit_code})")
        assert (ended.returncode, ended.stdout) == (exit_code, "runs\n")
    failed = end(f"{at_once}1 / 0")
    assert (failed.returncode, failed.stdout) == (1, "runs\n")
    assert failed.stderr.endswith("ZeroDivisionError: division by zero\n")

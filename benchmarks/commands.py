"""Runs commands of the package for benchmarks: times them, and kills parts."""

import argparse
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).parents[1]
_POLL_SECONDS = 0.05
# Ray names a process after the class of its actor, here `worker.Worker`.
_RAY_TITLE = "ray::Worker"


def numbers(description, **defaults):
    """Parses a benchmark's flags, each a whole number: their namespace."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


class Command:
    """A running command, whose processes are killed when the context ends.

    Args:
        *arguments: str, the arguments of `kd-keras`.
        folder: path of the directory to run in.
        cores: list of int, the cores to run on, or None for all.
        limit: float, seconds until it is killed.
    """

    def __init__(self, *arguments, folder, cores=None, limit=3600):
        command = [sys.executable, "-m", "kd_keras", *map(str, arguments)]
        if cores:
            numbers = ",".join(map(str, cores))
            command = ["taskset", "-c", numbers, *command]
        self._log = pathlib.Path(folder) / "kd-keras.log"
        self._limit = limit
        self._began = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for pid in (*self.descendants(), self._process.pid):
            kill(pid)
        self._process.wait()

    @property
    def seconds(self):
        """Seconds since the start."""
        return time.monotonic() - self._began

    def wait(self):
        """Waits for the end; returns the seconds from the start to it.

        Raises:
            RuntimeError: with the last lines, if it failed.
        """
        code, seconds = self.wait_for_end()
        if code:
            self._fail(f"ended with the code {code}")
        return seconds

    def wait_for_end(self):
        """Waits for the end: `(exit code, seconds from the start)`."""
        self.wait_until(lambda: self._process.poll() is not None)
        return self._process.returncode, self.seconds

    def wait_until(self, is_true):
        """Waits until a function is true; returns the seconds until then.

        Raises:
            RuntimeError: if the command ends first, or exceeds its limit.
        """
        while not is_true():
            if self._process.poll() is not None and not is_true():
                self._fail("ended too early")
            if self.seconds > self._limit:
                self._fail(f"took more than {self._limit:.0f} s")
            time.sleep(_POLL_SECONDS)
        return self.seconds

    def descendants(self):
        """The pids of its child processes, at any depth: list of ints."""
        children = {}
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                # The name of a program may contain spaces.
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(
                int(path.parent.name)
            )
        found, queue = [], [self._process.pid]
        while queue:
            below = children.get(queue.pop(), [])
            found += below
            queue += below
        return found

    def _fail(self, what):
        lines = self._log.read_text(errors="replace").splitlines()
        raise RuntimeError(
            f"kd-keras {what}; its last lines: " + "\n".join(lines[-20:])
        )


def kill(pid):
    """Kills a process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def is_ray_worker(pid):
    """Whether a process labels for Ray."""
    title = _read(pid, "cmdline")
    return title.startswith(_RAY_TITLE)


def is_worker(pid, index):
    """Whether a process trains as the worker of an index of TF_CONFIG."""
    from kd_keras.utils import tf_config

    for entry in _read(pid, "environ").split("\0"):
        name, _, text = entry.partition("=")
        if name == tf_config.VARIABLE:
            return f'"index": {index}' in text
    return False


def _read(pid, name):
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""


def _environment():
    return {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONPATH": str(REPOSITORY),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }

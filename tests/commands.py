"""Runs a command of the package in a process of its own, as a user does."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).parents[1]
# Modules that training commands import; none of them defines a flag.
HEAVY = (
    "tensorflow",
    "matplotlib.pyplot",
    "kd_keras.training.outcome",
    "kd_keras.training.runs",
    "kd_keras.training.stages.student",
    "kd_keras.training.stages.teacher",
    "kd_keras.training.summary",
)
# The processes that fork commands, by the modules that they have imported.
_SERVERS = {}


def command(*flags, module="train"):
    """The arguments that run a command: list of str."""
    return [sys.executable, "-m", f"kd_keras.{module}", *flags]


def environment():
    """This process's environment, with the checkout on the path: dict."""
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    return {**os.environ, "PYTHONPATH": path}


def run(*flags, cwd, module="train", prefix=(), timeout=300):
    """Runs a command in a directory.

    Args:
        *flags: str.
        cwd: path of the directory.
        module: str, the command.
        prefix: sequence of str, arguments in front of the command's.
        timeout: seconds.

    Returns:
        `subprocess.CompletedProcess` with text output.
    """
    return subprocess.run(
        [*prefix, *command(*flags, module=module)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def run_forked(module, cases, *, imported=HEAVY):
    """Runs many command lines of one module, with its heavy imports once.

    The process that has the imports serves all tests of this process.

    Args:
        module: str, a module with a function `cli()`.
        cases: list of `[directory, flags]`.
        imported: tuple of str, modules that all of them need.

    Returns:
        List of `[exit code, stderr]`.
    """
    return _ask(imported, "run", module, environment(), cases)


class Forked:
    """A forked process, which has the heavy imports; used like a `Popen`.

    Args:
        argv: list of str, the interpreter, a script or `-m` and a module, and
            their arguments.
        cwd: path of its directory.
        env: dict.
        outputs: path, the beginning of the paths of its output: `.stdout` and
            `.stderr`.

    Attributes:
        pid: int, also the number of its process group.
        returncode: int, or None while it runs.
    """

    def __init__(self, argv, *, cwd, env, outputs):
        self.returncode = None
        self._code = pathlib.Path(f"{outputs}.code")
        self.pid = _ask(HEAVY, "start", argv[1:], env, str(cwd), str(outputs))
        self._server = _SERVERS[HEAVY]

    def poll(self):
        """Returns the exit code, or None while it runs."""
        if self.returncode is None and self._code.exists():
            self.returncode = int(self._code.read_text())
        if self.returncode is None and self._server.poll() is not None:
            # Without the server, nothing would record its exit code.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.returncode = -signal.SIGKILL
        return self.returncode

    def wait(self):
        """Waits for its end: the exit code."""
        while self.poll() is None:
            time.sleep(0.01)
        return self.returncode


def _ask(imported, name, *arguments):
    """Calls a function of `forked_commands.py` in its process: the result."""
    if imported not in _SERVERS:
        _SERVERS[imported] = subprocess.Popen(
            [
                *(sys.executable, REPOSITORY / "tests/forked_commands.py"),
                *imported,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            env=environment(),
            text=True,
        )
    server = _SERVERS[imported]
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps([name, arguments]), file=server.stdin, flush=True)
    answer = server.stdout.readline()
    if not answer:
        del _SERVERS[imported]
        raise RuntimeError(
            f"the process that forks commands has ended with exit code "
            f"{server.wait()}, see its output. It was to {name} {arguments}"
        )
    return json.loads(answer)


def assert_one_line(result, message):
    """Asserts that a command failed with one line of error and no traceback."""
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("error: ") and message in lines[-1]
    # Before it: only our own lines about the loaded data and teacher.
    assert all(line.startswith(("data: ", "teacher: ")) for line in lines[:-1])


def heed_interruptions():
    """Lets SIGINT end this process; to be called when it starts.

    A shell's background commands ignore SIGINT, and so do their children.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)

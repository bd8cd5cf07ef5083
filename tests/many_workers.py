"""Runs a command in several processes, the workers of one TF_CONFIG.

Each has a free port of the loopback address. Their output goes to files, so
that none waits for a reader, and each is killed after a limit: TensorFlow's
workers survive SIGTERM.

Example, a script that prints JSON, as the two workers of a cluster:

    results = many_workers.run([sys.executable, "script.py"], cwd=tmp_path)
    first, second = [result.json() for result in results]

Example, a training that loses a worker:

    argv = commands.command("--config=mnist", "--stage=teacher")
    with many_workers.start(argv, cwd=tmp_path) as workers:
        workers.wait_for_text(0, "epoch 1")
        workers.kill(1)
        results = workers.wait()
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import commands

from kd_keras.utils import ports, tf_config

_PAUSE_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Result:
    """Exit code and output of one worker.

    Attributes:
        returncode: int, the exit code; -9 where it was killed.
        stdout: str.
        stderr: str.
        seconds: float, from the start of the cluster to this worker's end.
    """

    returncode: int
    stdout: str
    stderr: str
    seconds: float

    def json(self):
        """The last line of stdout, read as JSON."""
        assert self.returncode == 0, self.stderr
        return json.loads(self.stdout.splitlines()[-1])


class Workers:
    """The running processes of one cluster.

    Attributes:
        hosts: list of str, `127.0.0.1:<port>`.
        processes: list of `subprocess.Popen` or `commands.Forked`, each leads
            a process group.
    """

    def __init__(
        self, argvs, *, start, cwds, environments, limit, outputs, hosts
    ):
        self.hosts = hosts
        self.processes = []
        self._outputs = pathlib.Path(outputs)
        self._began = time.monotonic()
        self._limit = limit
        self._ended = {}
        parts = zip(argvs, cwds, environments, strict=True)
        for index, (argv, cwd, environment) in enumerate(parts):
            if argv is None:
                self.processes.append(None)
                continue
            self.processes.append(
                start(
                    argv,
                    cwd=cwd,
                    env=environment,
                    outputs=self._outputs / str(index),
                )
            )

    def kill(self, index, number=signal.SIGKILL):
        """Sends a signal to a worker and its child processes."""
        # Another process may have the number of a process that has ended.
        if self.processes[index].poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.processes[index].pid, number)

    def output(self, index, stream="stderr"):
        """Returns the output so far, of `stdout` or `stderr`: str."""
        path = self._outputs / f"{index}.{stream}"
        return path.read_text(errors="replace")

    def wait_for_text(self, index, text, stream="stderr"):
        """Waits until a worker has written a text, within the limit."""
        is_last = False
        while text not in self.output(index, stream):
            assert not is_last, (
                f"worker {index} never wrote {text!r}: "
                f"{self.output(index, 'stdout')}{self.output(index, 'stderr')}"
            )
            time.sleep(_PAUSE_SECONDS)
            late = time.monotonic() > self._began + self._limit
            is_last = late or self.processes[index].poll() is not None

    def wait(self):
        """Waits for all; kills those that still run after the limit.

        Returns:
            List of `Result`, in the order of the workers; None for a worker
            that was not started.
        """
        while self._running():
            if time.monotonic() > self._began + self._limit:
                self.kill_all()
            time.sleep(_PAUSE_SECONDS)
        return [
            process
            and Result(
                process.returncode,
                self.output(index, "stdout"),
                self.output(index, "stderr"),
                self._ended[index],
            )
            for index, process in enumerate(self.processes)
        ]

    def kill_all(self):
        """Kills every worker and its child processes."""
        for index, process in enumerate(self.processes):
            if process is not None:
                self.kill(index)
                process.wait()

    def _running(self):
        """Whether a worker still runs; notes when others have ended."""
        running = False
        for index, process in enumerate(self.processes):
            if process is not None and process.poll() is None:
                running = True
            else:
                seconds = time.monotonic() - self._began
                self._ended.setdefault(index, seconds)
        return running


def _start(argv, *, cwd, env, outputs):
    """Starts a process whose output goes to files: `subprocess.Popen`."""
    with (
        open(f"{outputs}.stdout", "wb") as stdout,
        open(f"{outputs}.stderr", "wb") as stderr,
    ):
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=commands.heed_interruptions,
        )


@contextlib.contextmanager
def start(argv, count=2, *, cwd, environment=None, limit=300, forked=False):
    """Starts the workers of a cluster; kills the remaining ones at the end.

    Args:
        argv: list of str, the command of every worker; or a list of such
            lists, one for each worker, where None starts no process.
        count: int, the number of workers, where they run one command.
        cwd: path of the directory that they run in, or a list of paths.
        environment: dict of variables to add, or a list of dicts.
        limit: float, seconds until all are killed.
        forked: bool, whether they are forked with TensorFlow's import done.

    Yields:
        `Workers`.
    """
    argvs = argv if not isinstance(argv[0], str) else [argv] * count
    count = len(argvs)
    cwds = cwd if isinstance(cwd, list) else [cwd] * count
    added = environment if isinstance(environment, list) else [environment]
    added = added * count if len(added) == 1 else added
    hosts = [f"127.0.0.1:{port}" for port in ports.free(count)]
    environments = [
        {
            **commands.environment(),
            "CUDA_VISIBLE_DEVICES": "-1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            tf_config.VARIABLE: tf_config.text(hosts, index),
            **(added[index] or {}),
        }
        for index in range(count)
    ]
    with tempfile.TemporaryDirectory() as outputs:
        workers = Workers(
            argvs,
            start=commands.Forked if forked else _start,
            cwds=cwds,
            environments=environments,
            limit=limit,
            outputs=outputs,
            hosts=hosts,
        )
        try:
            yield workers
        finally:
            workers.kill_all()


def run(argv, count=2, **options):
    """As `start`, until all have ended: list of `Result`."""
    with start(argv, count, **options) as workers:
        return workers.wait()

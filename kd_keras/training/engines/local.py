"""Workers that are processes of this machine."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading

from kd_keras.training.engines.driver import Event
from kd_keras.utils import interruption, provenance

_MODULE = "kd_keras.training.engines.worker"


class LocalCrew:
    """Processes that label, each with its share of the threads.

    They are new processes, not forks: TensorFlow does not survive a fork.

    Args:
        work: dict; see `worker.Worker`.
        jobs: int, how many; 0 for one.
        address: str, not used.

    Attributes:
        workers: list of the indices of the processes that have not ended.
        processes: list of `subprocess.Popen`, all processes.
    """

    def __init__(self, work, *, jobs, address=""):
        jobs = jobs or 1
        threads = max(provenance.threads() // jobs, 1) if jobs > 1 else 0
        self._work = {**work, "threads": threads}
        self.workers = list(range(jobs))
        self._events = queue.SimpleQueue()
        self.processes = []

    def __enter__(self):
        # Only the driver is interrupted; it then ends the processes.
        with interruption.ignored():
            self.processes = [_start() for _ in self.workers]
        for worker, process in enumerate(self.processes):
            self._send(worker, [self._work, worker])
            threading.Thread(
                target=self._listen, args=(worker, process), daemon=True
            ).start()
        return self

    def __exit__(self, *error):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    def ask(self, worker, method, *arguments):
        """Lets a worker call a method of `worker.Worker`."""
        self._send(worker, [method, *arguments])

    def next(self):
        """Waits for the next `Event`."""
        event = self._events.get()
        if event.kind == "lost":
            self.workers.remove(event.worker)
        return event

    def _send(self, worker, value):
        # `next` reports a process that has ended.
        with contextlib.suppress(OSError):
            pipe = self.processes[worker].stdin
            pipe.write(json.dumps(value) + "\n")
            pipe.flush()

    def _listen(self, worker, process):
        for line in process.stdout:
            self._events.put(Event(worker, *json.loads(line)))
        reason = _reason(process.wait())
        text = f"process {process.pid} of this labelling {reason}"
        self._events.put(Event(worker, "lost", text))


def _start():
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-m", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    )


def _reason(code):
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    memory = ", as the kernel does when memory is short"
    return f"was killed by {name}{memory if name == 'SIGKILL' else ''}"

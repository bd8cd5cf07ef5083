"""Runs a command in several processes of this machine, as one cluster."""

import contextlib
import os
import signal
import subprocess
import threading
import time

from kd_keras.utils import error_lines, guard, ports, tf_config

_POLL_SECONDS = 0.05
# The time for the others to end by themselves, with lines of their own.
_GRACE_SECONDS = 15.0
# The longest wait for the last lines of a worker that has ended.
_OUTPUT_SECONDS = 5.0
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(argv, count, *, environment=None):
    """Runs a command as the workers of one TF_CONFIG, until all have ended.

    Worker 0, the chief, writes to this process's output. The lines of the
    others go to stderr with `[worker 1] ` in front. SIGINT, SIGTERM and SIGHUP
    are passed on; the second one kills all. Where a worker fails, the others
    have 15 seconds to end and are killed then. All are killed with this
    process.

    Args:
        argv: list of str, the command.
        count: int, the number of workers.
        environment: dict of str, variables to add.

    Returns:
        int, the exit code: 0, or the exit code of the first worker that has
        failed; 128 + n where signal n has ended that worker or this process.
    """
    with _signals() as received, guard.Guard() as watched:
        workers = _Workers(argv, count, environment or {}, watched)
        try:
            return workers.wait(received)
        finally:
            workers.kill()


class _Workers:
    """The running processes."""

    def __init__(self, argv, count, environment, watched):
        self._watched = watched
        self._processes = []
        self._readers = []
        hosts = [f"127.0.0.1:{port}" for port in ports.free(count)]
        for index in range(count):
            self._start(
                argv,
                index,
                {
                    **os.environ,
                    **environment,
                    tf_config.VARIABLE: tf_config.text(hosts, index),
                },
            )

    def wait(self, received):
        """Waits for all; returns the exit code.

        Args:
            received: list that the numbers of signals are appended to.
        """
        code, passed_on, deadline = 0, 0, None
        while self._running():
            failed = self._first_failed()
            if len(received) > passed_on:
                self._send(received[passed_on])
                code = code or 128 + received[0]
                deadline = time.monotonic() + _GRACE_SECONDS * (not passed_on)
                passed_on += 1
            elif failed is not None and deadline is None:
                code = self._report(failed)
                deadline = time.monotonic() + _GRACE_SECONDS
            if deadline is not None and time.monotonic() > deadline:
                self.kill()
            time.sleep(_POLL_SECONDS)
        for reader in self._readers:
            reader.join(_OUTPUT_SECONDS)
        failed = self._first_failed()
        if failed is not None and not code:
            code = self._report(failed)
        return code

    def kill(self):
        """Kills the running workers and their own child processes."""
        self._send(signal.SIGKILL)
        for process in self._processes:
            process.wait()

    def _start(self, argv, index, environment):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            # A terminal's signals come once, by way of this process.
            start_new_session=True,
            **(pipes if index else {}),
        )
        self._processes.append(process)
        if index:
            reader = threading.Thread(
                target=_show, args=(process.stdout, index), daemon=True
            )
            reader.start()
            self._readers.append(reader)

    def _running(self):
        # All are polled, so that the end of each is noticed.
        polled = [process.poll() for process in self._processes]
        groups = [
            process.pid
            for process, code in zip(self._processes, polled)
            if code is None
        ]
        self._watched.note(groups)
        return bool(groups)

    def _first_failed(self):
        codes = [process.returncode for process in self._processes]
        return next((i for i, code in enumerate(codes) if code), None)

    def _report(self, index):
        """Reports that a worker has failed; returns its exit code."""
        code = self._processes[index].returncode
        ended = f"exit code {code}"
        if code < 0:
            ended = f"signal {-code} ({signal.Signals(-code).name})"
            code = 128 - code
        error_lines.write(f"launch: worker {index} ended with {ended}")
        return code

    def _send(self, number):
        for process in self._processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)


def _show(pipe, index):
    """Copies the lines of a worker to stderr."""
    for line in pipe:
        text = line.decode(errors="backslashreplace").rstrip()
        if text:
            error_lines.write(f"[worker {index}] {text}")


@contextlib.contextmanager
def _signals():
    """Yields a list of the signals that come within the context.

    A signal that was ignored before is still ignored.
    """
    received = []
    before = {}
    try:
        for number in _PASSED_ON:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(
                    number, lambda number, frame: received.append(number)
                )
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Latency, throughput and memory of models, side by side."""

import contextlib
import multiprocessing
import os
import pathlib
import re
import resource
import sys
import time

import numpy as np

from kd_keras.teachers import loading
from kd_keras.utils import quiet

# Long enough for many calls, short beside what disturbs a shared machine.
_TURN_SECONDS = 0.25


def measure(paths, *, batch_size=64, threads=(), rounds=20, on_turn=None):
    """Times models in turn, each in a process for every number of threads.

    Args:
        paths: list of models; see `loading.load_classifier`.
        batch_size: int, pictures of a batch.
        threads: ints; 1 and all cores by default.
        rounds: int, turns of each model.
        on_turn: function of `(turn, turns)`, called after each, or None.

    Returns:
        List of dicts of JSON values, one a model: `path`, `format`, `bytes`;
        `single_ms` and `batch_ms` with `median` and `p95` of a call, in
        milliseconds, on the least threads; `images_per_second` by number of
        threads, in batches; `peak_memory_mb` of the process on the least.

    Raises:
        FileNotFoundError, ValueError: as `loading.load_classifier`; or if a
            number is less than 1.
    """
    threads = sorted(set(threads) or {1, os.cpu_count()})
    for name, value in (
        ("batch_size", batch_size),
        ("threads", threads[0]),
        ("rounds", rounds),
    ):
        if value < 1:
            raise ValueError(f"{name} must be >= 1. Received: {value}")
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(_Worker(path, count))
            for path in paths
            for count in threads
        ]
        for worker in workers:
            worker.wait_until_loaded()
        turns = [
            (worker, size)
            for _ in range(rounds)
            for worker in workers
            for size in (1, batch_size)
            if size > 1 or worker.threads == threads[0]
        ]
        for i, (worker, size) in enumerate(turns):
            worker.take_turn(size)
            if on_turn:
                on_turn(i + 1, len(turns))
        return [
            _row(workers[i : i + len(threads)], batch_size)
            for i in range(0, len(workers), len(threads))
        ]


def table(rows, *, batch_size):
    """The rows of `measure`, as text in columns."""
    threads = list(rows[0]["images_per_second"])
    header = (
        f"{'':32}{'format':13}{'bytes':>11}{'1 picture, ms':>16}"
        f"{f'{batch_size} pictures, ms':>18}"
    )
    for count in threads:
        header += f"{f'a second, {count} thr.':>19}"
    lines = [
        header + f"{'memory, MB':>12}",
        f"{'':32}{'':13}{'':>11}{'median':>8}{'p95':>8}{'median':>9}{'p95':>9}",
    ]
    for row in rows:
        single, batch = row["single_ms"], row["batch_ms"]
        line = (
            f"{row['path'][-31:]:32}{row['format']:13}{row['bytes']:>11,}"
            f"{single['median']:>8.2f}{single['p95']:>8.2f}"
            f"{batch['median']:>9.1f}{batch['p95']:>9.1f}"
        )
        for count in threads:
            line += f"{row['images_per_second'][count]:>19,.0f}"
        lines.append(line + f"{row['peak_memory_mb']:>12,.0f}")
    return "\n".join(lines)


class _Worker:
    """A process that has one model, and runs it when it is asked to."""

    def __init__(self, path, threads):
        self.path = str(path)
        self.threads = threads
        self.seconds = {}
        # A fresh process, not a copy of this one with all that it has loaded.
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, self.path, threads), daemon=True
        )

    def __enter__(self):
        self._process.start()
        return self

    def __exit__(self, *error):
        self._process.terminate()
        self._process.join()

    def wait_until_loaded(self):
        self.format = self._receive()

    def take_turn(self, batch_size):
        self._connection.send(batch_size)
        self.seconds.setdefault(batch_size, []).extend(self._receive())

    def peak_memory_mb(self):
        self._connection.send(None)
        return self._receive()

    def _receive(self):
        try:
            answer = self._connection.recv()
        except EOFError:
            raise ValueError(
                "a model must run in a process of its own. Received: "
                f"{self.path}, whose process ended"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(connection, path, threads):
    """What a worker's process does."""
    try:
        with quiet.without_messages():
            classifier = loading.load_classifier(path, threads=threads)
    except (OSError, ValueError) as error:
        connection.send(error)
        return
    connection.send(classifier.kind)
    shape = [size or 32 for size in classifier.image_shape]
    random = np.random.default_rng(0)
    while (batch_size := connection.recv()) is not None:
        images = random.integers(0, 256, (batch_size, *shape), dtype="uint8")
        connection.send(_time_calls(classifier, images))
    connection.send(_peak_memory_mb())


def _time_calls(classifier, images):
    """Seconds of each call, for a turn; the first, a warm-up, not counted."""
    classifier(images)
    seconds, end = [], time.perf_counter() + _TURN_SECONDS
    while not seconds or time.perf_counter() < end:
        start = time.perf_counter()
        classifier(images)
        seconds.append(time.perf_counter() - start)
    return seconds


def _peak_memory_mb():
    try:
        status = pathlib.Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1e3
    except OSError:
        # Not on Linux, where it begins with what the parent process had.
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return memory / (1e6 if sys.platform == "darwin" else 1e3)


def _row(workers, batch_size):
    first = workers[0]

    def milliseconds(size):
        median, p95 = np.quantile(first.seconds[size], [0.5, 0.95]) * 1e3
        return {"median": float(median), "p95": float(p95)}

    return {
        "path": first.path,
        "format": first.format,
        "bytes": loading.size(first.path),
        "single_ms": milliseconds(1),
        "batch_ms": milliseconds(batch_size),
        "images_per_second": {
            str(worker.threads): batch_size
            / float(np.median(worker.seconds[batch_size]))
            for worker in workers
        },
        "peak_memory_mb": first.peak_memory_mb(),
    }

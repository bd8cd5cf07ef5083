"""Measures latency, throughput and memory of models, side by side."""

import contextlib
import multiprocessing
import os
import pathlib
import re
import resource
import sys
import time

import numpy as np

from kd_keras.teachers import kind, loading
from kd_keras.utils import interruption, quiet, tables

# Long enough for many calls, short compared with disturbances of a shared
# machine.
_TURN_SECONDS = 0.25
# The table shows the end of a longer path.
_PATH_CHARACTERS = 31


def measure(paths, *, batch_size=64, threads=(), rounds=20, on_turn=None):
    """Times models in turn, in one process for each model and thread count.

    Args:
        paths: list of paths; see `loading.load_classifier`.
        batch_size: int, images in a batch.
        threads: ints, numbers of threads; 1 and all cores by default.
        rounds: int, turns of each process.
        on_turn: function of `(turn, turns)`, called after each turn, or None.

    Returns:
        List of dicts of JSON values, one for each model: `path`, `format`,
        `bytes`; `single_ms` and `batch_ms` with `median` and `p95` of a call,
        in milliseconds, for the lowest number of threads; `images_per_second`
        in batches, by number of threads; `peak_memory_mb` of the process with
        the lowest number of threads.

    Raises:
        FileNotFoundError, ValueError: as `loading.load_classifier`; or if a
            number is less than 1, or a model cannot run a batch.
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
    """Returns the rows of `measure` as text in columns."""
    threads = list(rows[0]["images_per_second"])
    single, batch = "1 image, ms", f"{batch_size} images, ms"
    per_second = [f"a second, {count} thr." for count in threads]
    lines = [
        ["model", "format", "bytes", single, "", batch, ""]
        + [*per_second, "memory, MB"],
        ["", "", "", "median", "p95", "median", "p95"],
    ]
    for row in rows:
        single, batch = row["single_ms"], row["batch_ms"]
        speeds = [row["images_per_second"][count] for count in threads]
        lines.append(
            [
                row["path"][-_PATH_CHARACTERS:],
                row["format"],
                f"{row['bytes']:,}",
                f"{single['median']:.2f}",
                f"{single['p95']:.2f}",
                f"{batch['median']:.1f}",
                f"{batch['p95']:.1f}",
                *(f"{speed:,.0f}" for speed in speeds),
                f"{row['peak_memory_mb']:,.0f}",
            ]
        )
    return tables.aligned(lines, left=2)


class _Worker:
    """A process that loads one model, and runs it on request."""

    def __init__(self, path, threads):
        self.path = str(path)
        self.threads = threads
        self.seconds = {}
        # A new process, because a fork of this one would have its memory.
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, self.path, threads), daemon=True
        )

    def __enter__(self):
        # A terminal interrupts this process, too, which then ends the worker.
        with interruption.ignored():
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
            received = self._connection.recv()
        except EOFError:
            raise ValueError(
                "a model must run in a process of its own. Received: "
                f"{self.path}, whose process ended"
            ) from None
        if isinstance(received, Exception):
            raise received
        return received


def _serve(connection, path, threads):
    """Runs a worker: sends the kind, the seconds of each turn, the memory."""
    try:
        with quiet.without_messages():
            classifier = loading.load_classifier(path, threads=threads)
    except (OSError, ValueError) as error:
        _with_parent(connection.send, error)
        return
    _with_parent(connection.send, classifier.kind)
    random = np.random.default_rng(0)
    while (batch_size := _with_parent(connection.recv)) is not None:
        # Runtimes raise errors of many kinds, and some only in a call.
        try:
            images = _images(classifier, batch_size, random)
            answer = _time_calls(classifier, images)
        except Exception as error:
            answer = _refusal(batch_size, path, error)
        _with_parent(connection.send, answer)
        if isinstance(answer, Exception):
            return
    _with_parent(connection.send, _peak_memory_mb())


def _with_parent(call, *arguments):
    """Sends or receives; ends the process if its parent has ended."""
    try:
        return call(*arguments)
    except (EOFError, ConnectionError):
        # The parent was killed, so nobody is left to tell.
        sys.exit()


def _images(classifier, count, random):
    """Random images of the type that a classifier takes."""
    shape = [size or 32 for size in classifier.image_shape]
    images = random.integers(0, 256, (count, *shape), dtype="uint8")
    spec = classifier.image_spec
    if spec is None or spec.dtype == "uint8":
        return images
    return spec.cast(spec.low + (spec.high - spec.low) * images / 255)


def _refusal(batch_size, path, error):
    images = "an image" if batch_size == 1 else f"{batch_size} images at once"
    return ValueError(
        f"a model must run {images}. Received: {path}, {kind.first_line(error)}"
    )


def _time_calls(classifier, images):
    """Returns the seconds of each call of a turn, after a warm-up call."""
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
        # Other systems than Linux. Not used there, because Linux counts the
        # memory of the parent process, too.
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

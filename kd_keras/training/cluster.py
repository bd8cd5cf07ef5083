"""Keeps the workers of TF_CONFIG in step: shared facts, waits and files.

Only the chief, worker 0, writes files; the others read them. Without
TF_CONFIG this process is the chief and the only worker, and nothing waits.
"""

import contextlib
import functools
import json
import logging
import threading
import time

import numpy as np
import tensorflow as tf

from kd_keras.training import devices
from kd_keras.utils import (
    agreement,
    command_line,
    digests,
    interruption,
    keras_internals,
    processes,
    rendezvous,
    strategies,
    tf_config,
    watchdog,
)

_log = logging.getLogger(__name__)

# The strategy of this process, once it has been made.
_joined = []
# Errors of TensorFlow where another worker has ended.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)
# Around the line that a worker tells the others about its failure.
_BEGIN, _END = "<kd_keras>", "</kd_keras>"
_SIZE_BYTES = 8
_MOST_NAMES = 3
# Between two looks for an interruption, or for a file of the chief's.
_PAUSE_SECONDS = 0.1
# A file system that machines share may show a new file that late.
_FILE_SECONDS = 60
# The end of an error about a file that the chief has written.
SHARED = (
    "all workers must read the files that the chief writes: {path} must be on "
    "a file system that they share"
)


def meet(workers, facts, *, patience_seconds, failure=""):
    """Waits for all workers, which must have the same facts.

    A process that has joined their cluster already, for an earlier training,
    compares the facts within that cluster.

    Args:
        workers: `tf_config.Workers`.
        facts: dict of JSON values by name.
        patience_seconds: float, how long to wait for the other workers.
        failure: str, as of `rendezvous.meet`.

    Raises:
        ValueError: as `rendezvous.meet`.
    """
    if _joined:
        agree(_joined[-1], {"refused": failure, **facts})
    else:
        rendezvous.meet(workers, facts, patience_seconds, failure=failure)


@functools.cache
def make_strategy(workers, *, device_count, patience_seconds):
    """Makes the strategy of all workers, once all of them have come.

    Must be called before anything else starts TensorFlow. Cached: a process
    can join one cluster alone.

    Args:
        workers: `tf_config.Workers`.
        device_count: str, `auto` (all GPUs, or one CPU) or a number of
            logical CPU devices of each worker.
        patience_seconds: float, how long to wait for the other workers.

    Returns:
        `tf.distribute.MultiWorkerMirroredStrategy`.

    Raises:
        ValueError: if TensorFlow has been started already.
    """
    processes.end_without_cleanup()
    num_cpus = None
    if device_count != "auto":
        num_cpus = int(device_count)
        devices.divide_cpu(num_cpus)
    name = workers.name(workers.index)
    late = (
        "error: all workers of TF_CONFIG must join TensorFlow's cluster. "
        f"Received: no answer of all within {patience_seconds:g} s at {name}; "
        "look at the output of the others, or raise cluster.patience_seconds"
    )
    try:
        with (
            interruption.keeping_termination(),
            watchdog.limiting(patience_seconds, late),
            keras_internals.local_cpus(num_cpus),
        ):
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ValueError(
            "with TF_CONFIG the workers must meet before TensorFlow starts. "
            f"Received: {command_line.one_line(error)}"
        ) from error
    _joined.append(strategy)
    _log.info(
        "cluster: this is %s of %d, with %d replicas in all",
        name,
        workers.count,
        strategy.num_replicas_in_sync,
    )
    return strategy


def is_chief(strategy):
    """Whether this process writes the files: the chief, or the only one."""
    return index(strategy) == 0


def index(strategy):
    """The number of this worker, from 0: int."""
    if strategies.num_workers(strategy) == 1:
        return 0
    return tf_config.from_environment().index


def gather(strategy, data):
    """Collects bytes from all workers; all must call this.

    Args:
        strategy: `tf.distribute.Strategy`.
        data: bytes; their number may differ between the workers.

    Returns:
        List of bytes, one for each worker.
    """
    num_workers = strategies.num_workers(strategy)
    if num_workers == 1:
        return [data]
    # With the size in front: all replicas of a worker give the same bytes.
    mine = len(data).to_bytes(_SIZE_BYTES, "big") + data
    # Each byte as a float, a type that the collectives of all devices know.
    rows = _all_rows(strategy, np.frombuffer(mine, np.uint8))
    rows = rows.astype(np.uint8).tobytes()
    replicas = strategy.num_replicas_in_sync // num_workers
    collected, start = [], 0
    for _ in range(num_workers):
        end = start + _SIZE_BYTES
        size = int.from_bytes(rows[start:end], "big")
        collected.append(rows[end : end + size])
        start += replicas * (_SIZE_BYTES + size)
    return collected


def from_all(strategy, value):
    """Returns the values of all workers; all must call this.

    Args:
        strategy: `tf.distribute.Strategy`.
        value: a JSON value, this worker's.

    Returns:
        List of JSON values, in the order of the workers.
    """
    if strategies.num_workers(strategy) == 1:
        return [value]
    data = json.dumps(value).encode()
    return [json.loads(text) for text in gather(strategy, data)]


def from_chief(strategy, value=None):
    """Returns the chief's value on all workers; all must call this.

    Args:
        strategy: `tf.distribute.Strategy`.
        value: a JSON value; only the chief's counts.
    """
    mine = value if is_chief(strategy) else None
    return from_all(strategy, mine)[0]


def on_chief(strategy, function):
    """Calls a function on the chief alone; the others wait for its result.

    Args:
        strategy: `tf.distribute.Strategy`.
        function: function without arguments -> a JSON value. It must not
            need the other workers.

    Returns:
        Its value, on all workers.
    """
    return from_chief(strategy, function() if is_chief(strategy) else None)


def wait_for_file(strategy, path):
    """Waits until all workers see a file as the chief has written it.

    Args:
        strategy: `tf.distribute.Strategy`.
        path: `pathlib.Path`.

    Raises:
        ValueError: on all workers, if one of them sees another file or none.
    """
    if strategies.num_workers(strategy) == 1:
        return
    written = on_chief(strategy, lambda: _digest(path))
    end = time.monotonic() + _FILE_SECONDS
    while _digest(path) != written and time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)
    hint = SHARED.format(path=path.parent)
    agree(strategy, {path.name: _digest(path)}, hint=hint)


def _digest(path):
    """The SHA-256 of a file, or None where it does not exist."""
    try:
        return digests.sha256_of_file(path)
    except FileNotFoundError:
        return None


def agree(strategy, facts, *, hint=""):
    """Checks that all workers have the same facts; all must call this.

    Args:
        strategy: `tf.distribute.Strategy`.
        facts: dict of JSON values by name.
        hint: str, the end of the error: what to do.

    Raises:
        ValueError: on all workers, if a fact differs between them.
    """
    if strategies.num_workers(strategy) == 1:
        return
    workers = tf_config.from_environment()
    names = [workers.name(i) for i in range(workers.count)]
    everybody = from_all(strategy, facts)
    try:
        agreement.check(names, everybody)
    except ValueError as error:
        raise ValueError(f"{error}{hint and '; '}{hint}") from None


@contextlib.contextmanager
def failing_together(strategy):
    """Context in which the failure of one worker ends all of them.

    A worker that fails sends the others the reason, and ends. They notice it
    in the next step or wait that needs all workers, as they notice a worker
    that was killed.

    Args:
        strategy: `tf.distribute.Strategy`.

    Raises:
        ValueError: where another worker has failed or ended.
    """
    if strategies.num_workers(strategy) == 1:
        yield
        return
    try:
        yield
    except _LOST as error:
        if interruption.has_happened():
            raise KeyboardInterrupt from error
        raise ValueError(_loss(error)) from error
    except KeyboardInterrupt:
        _tell_others("it was interrupted")
        raise
    except Exception as error:
        _tell_others(command_line.one_line(error))
        raise


def _loss(error):
    """The line about another worker that has failed or ended."""
    told = str(error)
    if _BEGIN in told:
        return told.split(_BEGIN)[1].split(_END)[0]
    workers = tf_config.from_environment()
    names = [workers.name(i) for i in range(workers.count)]
    # TensorFlow does not always name the worker.
    others = [name for i, name in enumerate(names) if i != workers.index]
    shown = " or ".join(others[:_MOST_NAMES])
    if len(others) > _MOST_NAMES:
        shown += " or another one"
    return (
        f"all workers must run until the training ends. Received: {shown} has "
        "ended; look at its output, and run the same command on all workers "
        "again to continue"
    )


def _tell_others(reason):
    workers = tf_config.from_environment()
    # TensorFlow refuses if another worker was first.
    with contextlib.suppress(tf.errors.OpError):
        keras_internals.abort_cluster(
            f"{_BEGIN}all workers must run until the training ends. Received: "
            f"{workers.name(workers.index)} has ended: {reason}{_END}"
        )


def _all_rows(strategy, values):
    """The numbers of all replicas, in their order: float32 array `(n,)`."""
    mine = tf.constant(values, tf.float32)
    results = _interruptible(lambda: strategy.run(_gather_rows, args=(mine,)))
    return strategy.experimental_local_results(results)[0].numpy()


@tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
def _gather_rows(mine):
    context = tf.distribute.get_replica_context()
    # An argument has no device, which gathering asks for.
    return context.all_gather(tf.identity(mine), axis=0)


def _interruptible(function):
    """Calls a function in a thread, so that an interruption ends the wait."""
    outcome = {}

    def call():
        try:
            outcome["value"] = function()
        except BaseException as error:
            outcome["error"] = error

    # A daemon: the process may end while TensorFlow waits.
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_PAUSE_SECONDS)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]

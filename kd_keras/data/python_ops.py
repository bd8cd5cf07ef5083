"""Calls Python functions in pipelines, without a hang when the program ends.

An iterator that is alive when Python ends waits for the batches that are being
made. Threads cannot call Python any more by then, so it would wait for ever.
"""

import atexit
import functools
import math
import threading
import time

import tensorflow as tf

# Pipelines that have called nothing for so long have filled their buffers.
_QUIET_SECONDS = 0.1
_MOST_SECONDS = 10


class Gate:
    """Counts the running calls of functions, and ends them."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running = 0
        self._last = -math.inf
        self._is_closed = False

    def guarded(self, function):
        """Wraps a function so that it raises a ValueError after `close`."""

        @functools.wraps(function)
        def guarded(*arguments):
            with self._lock:
                self._last = time.monotonic()
                if self._is_closed:
                    raise ValueError("the program ends")
                self._running += 1
            try:
                return function(*arguments)
            finally:
                with self._lock:
                    self._last = time.monotonic()
                    self._running -= 1

        return guarded

    def close(self):
        """Waits for running calls, and refuses new ones from now on."""
        self._is_closed = True
        end = time.monotonic() + _MOST_SECONDS
        while not self._is_quiet() and time.monotonic() < end:
            time.sleep(_QUIET_SECONDS / 4)

    def _is_quiet(self):
        quiet_since = time.monotonic() - self._last
        return not self._running and quiet_since > _QUIET_SECONDS


_gate = Gate()
atexit.register(_gate.close)


def numpy_function(function, inputs, dtype, **options):
    """As `tf.numpy_function`, for pipelines of any number of iterators.

    Args:
        function: function of arrays that returns an array.
        inputs: list of tensors.
        dtype: of the tensor that is returned.
        **options: of `tf.numpy_function`.
    """
    return tf.numpy_function(_gate.guarded(function), inputs, dtype, **options)

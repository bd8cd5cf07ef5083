"""Calls a function many times, in several threads."""

import concurrent.futures
import functools
import os

from kd_keras.utils import provenance


def for_each(function, count):
    """Calls a function with 0 to `count - 1`, in any order.

    Worth it for functions that release Python's lock, as Pillow does while it
    decodes, resizes and filters.

    Args:
        function: function of an int; its result is not used.
        count: int.

    Raises:
        Exception: what a call raises.
    """
    pool, threads = _pool(os.getpid())

    def some(first):
        for i in range(first, count, threads):
            function(i)

    # This thread would only wait.
    others = [pool.submit(some, i) for i in range(1, min(threads, count))]
    some(0)
    for other in others:
        other.result()


@functools.lru_cache(maxsize=1)
def _pool(process):
    """Threads of a process, and their number: a fork has none of them."""
    del process
    threads = provenance.threads()
    return concurrent.futures.ThreadPoolExecutor(threads, "images"), threads

"""Calls a function many times, in several threads if that is faster."""

import concurrent.futures
import functools
import os

from kd_keras.utils import provenance


def for_each(function, count, *, parallel):
    """Calls a function with 0 to `count - 1`, in any order.

    Args:
        function: function of an int; its result is not used.
        count: int.
        parallel: bool, whether to use several threads. They are faster if
            the function releases Python's lock for about 0.1 ms or longer,
            as Pillow does for large images. Otherwise they take up to twice
            as long as one, since they wait for the lock.

    Raises:
        Exception: what a call raises.
    """
    if not parallel:
        for i in range(count):
            function(i)
        return
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

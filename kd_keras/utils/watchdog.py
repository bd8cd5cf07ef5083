"""Ends a process that waits without end, from a second process.

TensorFlow waits for the other workers of a cluster in C, where it holds
Python's interpreter lock: no thread of the same process and no signal handler
of Python's runs there. This file is also the program that watches; it imports
nothing of the package, so that it starts at once.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys


@contextlib.contextmanager
def limiting(seconds, message):
    """Context that ends this process, with SIGKILL, if it lasts too long.

    Args:
        seconds: float, the limit.
        message: str, a line for stderr when that happens.
    """
    watcher = subprocess.Popen(
        # Isolated: neither the user's modules nor their start-up files.
        [sys.executable, "-I", "-S", __file__, str(seconds), message],
        stdin=subprocess.PIPE,
        # A terminal's Ctrl-C is for the process that is watched.
        start_new_session=True,
    )
    try:
        yield
    finally:
        watcher.stdin.close()
        watcher.wait()


def _watch(seconds, message):
    """Ends the parent process, unless it closes stdin or ends in time."""
    parent = os.getppid()
    ready, _, _ = select.select([0], [], [], seconds)
    # The parent may just have ended, and another process have its number.
    if not ready and os.getppid() == parent:
        os.write(2, f"{message}\n".encode())
        os.kill(parent, signal.SIGKILL)


if __name__ == "__main__":
    _watch(float(sys.argv[1]), sys.argv[2])

"""Silence for libraries that write to stderr whatever their log level is."""

import contextlib
import os
import sys


@contextlib.contextmanager
def without_messages():
    """Drops what is written to file descriptor 2, also by C++."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)

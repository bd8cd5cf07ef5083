"""Silences libraries that write to stderr at any log level."""

import contextlib
import os
import sys


@contextlib.contextmanager
def without_messages():
    """Drops all output to file descriptor 2, even by C++."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)

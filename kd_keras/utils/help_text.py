"""Prints the texts that a user asks for by --help."""

import os
import sys


def show(text):
    """Prints a text as far as it is read: `| head` reads its beginning.

    Args:
        text: str.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Python flushes the rest when it ends, and would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""Lines on stderr that stay whole where several processes write to it."""

import sys


def write(text):
    """Writes a line to stderr in one piece.

    `print` writes the end of the line by itself where Python does not buffer
    (`PYTHONUNBUFFERED`): another process's line could come between.

    Args:
        text: str, the line without its end.
    """
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()

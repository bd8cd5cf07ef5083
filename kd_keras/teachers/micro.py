"""LiteRT for Microcontrollers, tried in a process of its own.

Its interpreter can end the process instead of raising, for instance where the
memory for tensors ("arena") is too small.
"""

import contextlib
import re
import subprocess
import sys
import tempfile

from kd_keras.utils import packages

# More than any microcontroller has, in bytes.
LARGEST_ARENA = 256 * 2**20

# Prints a line for each arena size that it reads.
_PROGRAM = """
import sys
from tflite_micro.python.tflite_micro import runtime
with open(sys.argv[1], "rb") as file:
    model = file.read()
for line in sys.stdin:
    try:
        runtime.Interpreter.from_bytes(model, arena_size=int(line))
        print("runs", flush=True)
    except Exception as error:
        print(repr(error), flush=True)
"""


def runtime():
    """Imports the runtime of LiteRT for Microcontrollers.

    Raises:
        ValueError: if its package is not installed.
    """
    return packages.optional(
        "tflite_micro.python.tflite_micro.runtime", "tflite-micro"
    )


class Trials:
    """Tries a model in arenas of several sizes; a context manager.

    Args:
        model: bytes of an int8 LiteRT file.
    """

    def __init__(self, model):
        runtime()
        self._model = model
        self._files = contextlib.ExitStack()
        self._process = None

    def __enter__(self):
        file = self._files.enter_context(tempfile.NamedTemporaryFile())
        file.write(self._model)
        file.flush()
        self._path = file.name
        self._messages = self._files.enter_context(
            tempfile.TemporaryFile(mode="w+", errors="replace")
        )
        return self

    def __exit__(self, *error):
        self._end()
        self._files.close()

    def check(self, arena_bytes):
        """Raises a ValueError unless the model runs in an arena of a size."""
        failure = self.failure(arena_bytes)
        if failure is not None:
            raise ValueError(
                "a model must run in LiteRT for Microcontrollers. Received: "
                f"one that fails with {arena_bytes:,} bytes for its tensors "
                f"({failure})"
            )

    def failure(self, arena_bytes):
        """The reason why the model does not run in an arena, or None.

        Args:
            arena_bytes: int, the size of the arena.

        Returns:
            str, the first message of the interpreter, or None if it runs.
        """
        if self._process is None:
            self._start()
        start = self._messages.seek(0, 2)
        answer = self._ask(arena_bytes)
        if answer == "runs":
            return None
        if not answer:
            self._end()
        self._messages.seek(start)
        lines = re.findall(r"\S.*", self._messages.read())
        return lines[0] if lines else answer or "its process ended"

    def _start(self):
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, self._path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            text=True,
        )

    def _ask(self, arena_bytes):
        """The line that the process answers; empty if it has ended."""
        try:
            print(arena_bytes, file=self._process.stdin, flush=True)
        except BrokenPipeError:
            return ""
        return self._process.stdout.readline().strip()

    def _end(self):
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

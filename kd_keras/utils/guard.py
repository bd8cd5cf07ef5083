"""Kills the processes that this one has started when it is killed itself.

A process that gets SIGKILL can end nothing, and not every system tells its
child processes. Therefore a guard process waits for its end. This file is also
the program of the guard; it imports nothing of the package.
"""

import contextlib
import os
import signal
import subprocess
import sys


class Guard:
    """Context in which process groups end with this process, however it ends.

    Leaving the context ends none of them.
    """

    def __enter__(self):
        self._groups = []
        self._process = subprocess.Popen(
            # Isolated: neither the user's modules nor their start-up files.
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            # A signal to this process's group does not reach the guard.
            start_new_session=True,
            text=True,
        )
        return self

    def __exit__(self, *error):
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def note(self, groups):
        """Notes which process groups run.

        Args:
            groups: list of int, the numbers of all of them.
        """
        if groups == self._groups:
            return
        self._groups = groups
        # If the guard has ended, the work continues without it.
        with contextlib.suppress(OSError):
            self._process.stdin.write(" ".join(map(str, groups)) + "\n")
            self._process.stdin.flush()


def _watch():
    """Kills the groups in the last line of stdin when stdin has ended."""
    groups = ""
    for line in sys.stdin:
        groups = line
    for group in groups.split():
        with contextlib.suppress(OSError):
            os.killpg(int(group), signal.SIGKILL)


if __name__ == "__main__":
    _watch()

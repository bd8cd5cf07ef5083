"""Finds free ports of this machine."""

import contextlib
import random
import socket

# Below the ports of outgoing connections: one of those might take a port
# between its choice and its use.
_RANGE = range(10240, 32768)
_ATTEMPTS = 1000


def free(count, host="127.0.0.1"):
    """Chooses ports that no program uses.

    Args:
        count: int.
        host: str, a name or an address of this machine.

    Returns:
        List of int, all different.

    Raises:
        OSError: if there are not as many, or the host is not this machine.
    """
    chooser = random.SystemRandom()
    with contextlib.ExitStack() as held:
        chosen = []
        for attempt in range(_ATTEMPTS):
            if len(chosen) == count:
                break
            port = chooser.choice(_RANGE)
            candidate = held.enter_context(socket.socket())
            try:
                candidate.bind((host, port))
            except OSError:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            chosen.append(port)
        return chosen

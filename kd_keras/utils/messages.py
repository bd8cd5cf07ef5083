"""Messages between processes: one line of JSON each, of limited length."""

import contextlib
import json
import time

_MOST_BYTES = 2**20
_CHUNK_BYTES = 2**16


def send(connection, message):
    """Sends a message.

    Args:
        connection: `socket.socket`, connected.
        message: dict of JSON values.

    Raises:
        OSError: if the other side does not take it.
    """
    connection.sendall(json.dumps(message).encode() + b"\n")


def receive(connection, seconds):
    """Receives a message.

    Args:
        connection: `socket.socket`, connected.
        seconds: float, the longest time until the message is complete.

    Returns:
        dict, or None where no message of this kind came, at once if its
        first byte is of another protocol.
    """
    deadline = time.monotonic() + seconds
    received = b""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        while not received.endswith(b"\n") and len(received) <= _MOST_BYTES:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            connection.settimeout(left)
            chunk = connection.recv(_CHUNK_BYTES)
            if not chunk:
                return None
            received += chunk
            # TensorFlow of another worker is refused at once: it would wait
            # 20 seconds for an answer before it tries again.
            if not received.startswith(b"{"):
                return None
        if len(received) <= _MOST_BYTES:
            message = json.loads(received)
            return message if isinstance(message, dict) else None
    return None

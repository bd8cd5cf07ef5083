"""Messages between processes."""

import concurrent.futures
import socket

from kd_keras.utils import messages


def test_another_protocol_is_refused_without_a_wait():
    ours, theirs = socket.socketpair()
    with ours, theirs, concurrent.futures.ThreadPoolExecutor() as pool:
        received = pool.submit(messages.receive, ours, 600.0)
        # As TensorFlow's clients begin; the connection stays open.
        theirs.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0")
        try:
            assert received.result(timeout=30) is None
        finally:
            theirs.close()

"""Messages between the workers of a training, on the workers' ports.

Bytes from other programs are ignored. Like TensorFlow's servers, the ports have
no password: workers belong in a network of their own.
"""

import contextlib
import errno
import socket
import threading

from kd_keras.utils import messages, tf_config

_PROTOCOL = "kd_keras rendezvous"
# The longest time for one message, and for its answer.
_ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.1
_MOST_CONNECTIONS = 256
# Further entries of each kind of message.
_KINDS = {
    "facts": {"facts": dict, "reason": str},
    "farewell": {"reason": str},
    "answer": {},
}


def make(workers, kind, to, *, nonce, **more):
    """Makes a message of this worker to another one.

    Args:
        workers: `tf_config.Workers`.
        kind: str, `facts`, `farewell` or `answer`.
        to: int, the index of the other worker.
        nonce: str, distinguishes this process from one started in its place.
        **more: str `reason`, why this worker ends, and dict `facts` of facts,
            where the reason may be empty.

    Returns:
        dict of JSON values.
    """
    return {
        "protocol": _PROTOCOL,
        "kind": kind,
        "hosts": list(workers.hosts),
        "index": workers.index,
        "to": to,
        "nonce": nonce,
        **more,
    }


def ask(workers, message):
    """Sends a message to the worker that its `to` names.

    Args:
        workers: `tf_config.Workers`.
        message: dict of `make`.

    Returns:
        `(answer, reason)`: dict, and an empty str; or None, and the reason
        for no answer.
    """
    place = tf_config.address(workers.hosts[message["to"]])
    try:
        with socket.create_connection(place, _ANSWER_SECONDS) as connection:
            messages.send(connection, message)
            answer = messages.receive(connection, _ANSWER_SECONDS)
    except (socket.gaierror, UnicodeError):
        return None, "the name of its host is unknown here"
    except OSError:
        return None, "nothing answers there"
    # A connection of this machine to itself may bring the message back.
    if not _is_of_worker(answer, ("answer",)):
        return None, "another program answers there"
    return answer, ""


@contextlib.contextmanager
def answering(workers, make_answer, take):
    """Answers other workers' messages on this worker's port.

    Within the context, in threads. The port is free again at its end.

    Args:
        workers: `tf_config.Workers`.
        make_answer: function of a message -> the answer to it.
        take: function that is given a message after it has been answered.

    Raises:
        ValueError: if the port cannot be used.
    """
    listener = _open(workers)
    is_over = threading.Event()
    thread = in_background(_accept, listener, make_answer, take, is_over)
    try:
        yield
    finally:
        is_over.set()
        # The system keeps the port until the thread has ended.
        thread.join()
        listener.close()


def in_background(function, *arguments):
    """Starts a thread that does not keep the process from ending."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def _open(workers):
    """A listening socket on this worker's port, for TensorFlow to take over."""
    host = workers.hosts[workers.index]
    _, port = tf_config.address(host)
    both = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            ("", port),
            family=socket.AF_INET6 if both else socket.AF_INET,
            dualstack_ipv6=both,
            backlog=_MOST_CONNECTIONS,
        )
    except OSError as error:
        reason = (
            "another program uses it; end that, if it is a worker of an "
            "earlier start, or choose another port in TF_CONFIG"
            if error.errno == errno.EADDRINUSE
            else error.strerror
        )
        raise ValueError(
            f"port {port} of this machine must be free for "
            f"{workers.name(workers.index)}. Received: {reason}"
        ) from error


def _accept(listener, make_answer, take, is_over):
    places = threading.BoundedSemaphore(_MOST_CONNECTIONS)
    listener.settimeout(_POLL_SECONDS)
    while not is_over.is_set():
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            places.acquire()
            in_background(_answer, connection, make_answer, take, places)


def _answer(connection, make_answer, take, places):
    with contextlib.suppress(OSError), connection:
        message = messages.receive(connection, _ANSWER_SECONDS)
        if _is_of_worker(message, ("facts", "farewell")):
            messages.send(connection, make_answer(message))
            take(message)
    places.release()


def _is_of_worker(message, kinds):
    """Whether a message is a worker's, complete, and of one of these kinds."""
    if not message or message.get("protocol") != _PROTOCOL:
        return False
    types = {"index": int, "to": int, "nonce": str, "hosts": list}
    if message.get("kind") not in kinds:
        return False
    types |= _KINDS[message["kind"]]
    if not all(isinstance(message.get(key), t) for key, t in types.items()):
        return False
    hosts = message["hosts"]
    texts = [*hosts, message.get("reason", "")]
    return (
        all(isinstance(text, str) and text.isprintable() for text in texts)
        and 0 <= message["index"] < len(hosts)
        and 0 <= message["to"] < len(hosts)
    )

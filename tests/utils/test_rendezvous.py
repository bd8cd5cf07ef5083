"""Workers meet in threads of one process: they share nothing but sockets."""

import concurrent.futures
import contextlib
import json
import queue
import signal
import socket
import threading
import time

import pytest

from kd_keras.utils import ports, rendezvous, tf_config, worker_messages

FACTS = {"versions": {"keras": "3.15"}, "seed": 0}
PATIENCE = 60


def local_hosts(count):
    return tuple(f"127.0.0.1:{port}" for port in ports.free(count))


class Threads:
    """Workers in threads; the error of each, or None, by its index."""

    def __init__(self):
        self._pool = concurrent.futures.ThreadPoolExecutor(32)
        self._started = []

    def start(
        self, hosts, index, *, facts=FACTS, patience=PATIENCE, failure=""
    ):
        workers = tf_config.Workers(hosts=hosts, index=index)
        future = self._pool.submit(
            rendezvous.meet, workers, facts, patience, failure=failure
        )
        self._started.append(future)
        return future

    def errors(self):
        """Waits for all: list of str, empty for those that have met."""
        return [str(f.exception(PATIENCE) or "") for f in self._started]


@pytest.fixture
def threads():
    return Threads()


@pytest.mark.parametrize("count", [2, 5])
def test_all_meet_and_their_ports_are_free_again(threads, count):
    hosts = local_hosts(count)
    for index in range(count):
        threads.start(hosts, index)
    assert threads.errors() == [""] * count
    for host in hosts:
        # TensorFlow's servers take a port as this does.
        socket.create_server(tf_config.address(host)).close()


@pytest.mark.slow
def test_a_late_worker_is_waited_for(threads, caplog, monkeypatch):
    monkeypatch.setattr(rendezvous, "_QUIET_SECONDS", 0.0)
    hosts = local_hosts(2)
    with caplog.at_level("INFO", "kd_keras"):
        first = threads.start(hosts, 0)
        time.sleep(1)
        assert not first.done()
        threads.start(hosts, 1)
        assert threads.errors() == ["", ""]
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith(
        f"cluster: worker 0 of 2 waits up to 60 s for worker 1 ({hosts[1]}): "
    )
    assert lines[-1] == "cluster: all 2 workers have come"


def test_workers_by_an_address_of_ipv6(threads):
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    hosts = tuple(f"[::1]:{port}" for port in ports.free(2))
    threads.start(hosts, 0)
    threads.start(hosts, 1)
    assert threads.errors() == ["", ""]


@pytest.mark.slow
def test_the_missing_are_named_on_every_worker_that_waits(threads):
    hosts = local_hosts(4)
    # A name that no network knows, which needs no network to find out.
    unknown = f"{'x' * 64}:1"
    hosts = (*hosts[:3], unknown)
    threads.start(hosts, 0, patience=3)
    # This worker would wait much longer, but ends with the first one.
    threads.start(hosts, 1)
    for error in threads.errors():
        assert error == (
            "all workers must come within cluster.patience_seconds=3. "
            f"Missing: worker 2 ({hosts[2]}): nothing answers there; worker 3 "
            f"({unknown}): the name of its host is unknown here"
        )


def test_every_worker_knows_what_differs(threads):
    hosts = local_hosts(3)
    for index in range(3):
        threads.start(hosts, index, facts={**FACTS, "seed": index // 2})
    for error in threads.errors():
        assert error == (
            "all workers must have the same program, configuration and data. "
            f"Received: seed is 0 on worker 0 ({hosts[0]}) and worker 1 "
            f"({hosts[1]}), 1 on worker 2 ({hosts[2]})"
        )


def test_one_that_cannot_train_tells_the_others_and_those_that_are_late(
    threads, caplog
):
    hosts = local_hosts(3)
    threads.start(hosts, 0)
    threads.start(hosts, 1, facts={}, failure="no \x1b config")
    reason = (
        "all workers must be able to train. Received: worker 1 "
        f"({hosts[1]}) cannot: no ? config"
    )
    deadline = time.monotonic() + PATIENCE
    while f"cluster: {reason}" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    threads.start(hosts, 2)
    assert threads.errors() == [reason, "", reason]


def test_several_that_cannot_train_do_not_wait_for_each_other(threads):
    hosts = local_hosts(2)
    for index in range(2):
        threads.start(hosts, index, facts={}, failure=f"reason {index}")
    assert threads.errors() == ["", ""]


def test_another_cluster_is_refused_at_once_on_both_sides(threads):
    hosts = local_hosts(3)
    threads.start(hosts[:2], 0)
    threads.start(hosts, 1)
    for error in threads.errors():
        assert "TF_CONFIG must name the same hosts" in error
        assert ", ".join(hosts) in error


def test_a_process_with_the_index_of_another_host_is_refused(threads):
    first, port = local_hosts(1), ports.free(1)[0]
    # The process of worker 1 listens at the place of worker 2, too.
    hosts = (*first, f"127.0.0.1:{port}", f"127.0.0.2:{port}")
    threads.start(hosts, 0)
    threads.start(hosts, 1)
    for error in threads.errors():
        assert error == (
            "TF_CONFIG must have the task index of the process's own host. "
            f"Received: the process at {hosts[2]}, the host of worker 2, says "
            "that it is worker 1"
        )


def test_a_worker_that_was_started_again_takes_its_own_place(threads):
    hosts = local_hosts(3)
    threads.start(hosts, 0)
    # A worker that is killed after it has sent its facts, which differ, and
    # received worker 0's facts.
    came = queue.Queue()
    killed = message_of(
        hosts, "facts", nonce="old", facts={"seed": 7}, reason=""
    )
    with worker_messages.answering(
        tf_config.Workers(hosts=hosts, index=1),
        lambda message: message_of(hosts, "answer", nonce="old"),
        came.put,
    ):
        assert ask(hosts, killed)["index"] == 0
        assert came.get(timeout=PATIENCE)["facts"] == FACTS
    threads.start(hosts, 1)
    farewell = message_of(hosts, "farewell", nonce="older", reason="killed")
    assert ask(hosts, farewell)["index"] == 0
    threads.start(hosts, 2)
    assert threads.errors() == ["", "", ""]


def test_an_interruption_ends_the_wait_here_and_elsewhere():
    hosts = local_hosts(3)
    taken = queue.Queue()

    def interrupt():
        """As worker 1, which has met worker 0."""
        other = tf_config.Workers(hosts=hosts, index=1)

        def answer(message):
            return message_of(hosts, "answer", nonce="1")

        with worker_messages.answering(other, answer, taken.put):
            facts = message_of(
                hosts, "facts", nonce="1", facts=FACTS, reason=""
            )
            ask(hosts, facts)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            while taken.get(timeout=PATIENCE)["kind"] != "farewell":
                continue

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    pool = concurrent.futures.ThreadPoolExecutor()
    told = pool.submit(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            rendezvous.meet(
                tf_config.Workers(hosts=hosts, index=0), FACTS, PATIENCE
            )
    finally:
        signal.signal(signal.SIGINT, before)
    told.result(PATIENCE)


def test_a_port_in_use_is_one_line(threads):
    hosts = local_hosts(2)
    _, port = tf_config.address(hosts[0])
    with socket.create_server(("127.0.0.1", port)):
        threads.start(hosts, 0)
        (error,) = threads.errors()
    assert error == (
        f"port {port} of this machine must be free for worker 0 ({hosts[0]}). "
        "Received: another program uses it; end that, if it is a worker of an "
        "earlier start, or choose another port in TF_CONFIG"
    )


HEAD = {
    "protocol": "kd_keras rendezvous",
    "kind": "facts",
    "index": 1,
    "to": 0,
    "nonce": "",
    "hosts": ["a:1", "b:1"],
    "facts": {},
    "reason": "",
}


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"null\n",
        b"[" * 100_000 + b"\n",
        b"{" + b" " * 2**21 + b"}\n",
        *[
            json.dumps({**HEAD, **changes}).encode() + b"\n"
            for changes in (
                {"protocol": "another"},
                {"kind": []},
                {"kind": "answer"},
                {"index": 7},
                {"to": -1},
                {"hosts": [1, 2]},
                {"hosts": ["\x1b", "b:1"]},
                {"facts": 0},
                {"kind": "farewell", "reason": None},
                {"kind": "farewell", "reason": "\x1b"},
            )
        ],
    ],
    ids=range(15),
)
def test_a_strangers_bytes_are_ignored(sent):
    workers = tf_config.Workers(hosts=local_hosts(2), index=0)
    taken = []
    with (
        worker_messages.answering(workers, dict, taken.append),
        connect(workers.hosts[0]) as connection,
        # Too much is not read to its end, and the connection is closed.
        contextlib.suppress(OSError),
    ):
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert not taken


def test_a_stranger_that_says_nothing_keeps_nobody_waiting(threads):
    hosts = local_hosts(2)
    threads.start(hosts, 0)
    with connect(hosts[0]) as connection:
        threads.start(hosts, 1)
        assert threads.errors() == ["", ""]
        connection.sendall(b"late")


@pytest.mark.slow
def test_another_program_at_a_workers_place_is_named(threads):
    hosts = local_hosts(2)
    with socket.create_server(tf_config.address(hosts[1])) as server:
        threads.start(hosts, 0, patience=2)
        server.settimeout(PATIENCE)
        for _ in range(2):
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n\n")
                connection.recv(2**16)
        (error,) = threads.errors()
    assert error.endswith(f"({hosts[1]}): another program answers there")


def message_of(hosts, kind, *, nonce, **more):
    """A message of worker 1 to worker 0."""
    workers = tf_config.Workers(hosts=hosts, index=1)
    return worker_messages.make(workers, kind, 0, nonce=nonce, **more)


def ask(hosts, message):
    connect(hosts[0]).close()
    workers = tf_config.Workers(hosts=hosts, index=1)
    answer, _ = worker_messages.ask(workers, message)
    return answer


def connect(host):
    """A connection to a worker, as soon as it listens."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(tf_config.address(host), PATIENCE)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.01)

"""Brings the workers of a training together, before TensorFlow starts.

TensorFlow waits without end for a worker that never comes, lets workers with
different programs train together, and reports neither. Therefore the workers
meet beforehand, on the ports that TensorFlow's servers will have. Each sends
its facts, which must be the same everywhere, to all others. A worker that
cannot train comes, too, and reports why, so that no other waits for it.

In each pair of workers, both send their facts, over a connection of their own,
and wait for an answer. A worker may leave once it has the facts and the answers
of all others: then no other waits for it any more.
"""

import contextlib
import logging
import secrets
import textwrap
import threading
import time

from kd_keras.utils import agreement, worker_messages

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.3
# The wait before the first line about missing workers, and between two lines.
_QUIET_SECONDS = 2.0
_PROGRESS_SECONDS = 60.0
# The time to tell the others that this worker has ended.
_FAREWELL_SECONDS = 2.0
_MOST_CHARACTERS = 1000
# The time for a worker that fails early: others may still import TensorFlow.
_DECLINE_SECONDS = 120.0

_has_begun = threading.Event()


def meet(workers, facts, patience_seconds, *, failure=""):
    """Waits until all workers have come and know each other's facts.

    The port of this worker is free again afterwards.

    Args:
        workers: `tf_config.Workers`, several.
        facts: dict of str to JSON values, which may be nested dicts; they
            must be the same on all workers.
        patience_seconds: float, the longest time to wait.
        failure: str, the reason in one line if this worker cannot train, else
            empty. It is for the others; the caller raises its own error.

    Raises:
        ValueError: if workers are missing after that time, one has ended
            meanwhile or cannot train, they do not belong together, their
            facts differ (raised on every worker, with the differences), or
            this worker's port is in use.
    """
    _has_begun.set()
    meeting = _Meeting(workers, facts, failure)
    with worker_messages.answering(workers, meeting.answer, meeting.take):
        try:
            meeting.wait(patience_seconds)
        except KeyboardInterrupt:
            name = workers.name(workers.index)
            meeting.leave(
                "all workers must stay until the last one has come. Received: "
                f"{name} was interrupted"
            )
            raise
        except ValueError as error:
            meeting.leave(str(error))
            raise
    if failure:
        return
    meeting.check_failures()
    _log.info("cluster: all %d workers have come", workers.count)
    names = [workers.name(index) for index in range(workers.count)]
    agreement.check(names, meeting.facts())


def decline(workers, failure):
    """Tells the others why this worker fails before it could meet them.

    Waits for them for two minutes at most. Does nothing in a process that
    has been to a meeting: the others know of the failure.

    Args:
        workers: as of `meet`.
        failure: as of `meet`.
    """
    if _has_begun.is_set():
        return
    _log.info(
        "cluster: tells the other workers, and waits for them up to %.0f s",
        _DECLINE_SECONDS,
    )
    with contextlib.suppress(ValueError):
        meet(workers, {}, _DECLINE_SECONDS, failure=failure)


class _Meeting:
    """State of the meeting, as this worker knows it."""

    def __init__(self, workers, facts, failure):
        self._workers = workers
        self._facts = facts
        self._reason = failure and (
            "all workers must be able to train. Received: "
            f"{workers.name(workers.index)} cannot: {failure}"
        )
        # Distinguishes this process from one started in its place.
        self._nonce = secrets.token_hex(8)
        # By index: the message received, the process that answered, and the
        # reason for no answer.
        self._received = {}
        self._answered = {}
        self._reasons = {}
        self._failure = None
        self._is_over = False
        self._changed = threading.Condition()

    def wait(self, patience_seconds):
        """Waits until this worker has met all; raises as `meet`."""
        for index in self._others():
            worker_messages.in_background(self._deliver, index)
        began = time.monotonic()
        next_line = began + _QUIET_SECONDS
        try:
            with self._changed:
                while missing := self._missing():
                    now = time.monotonic()
                    left = began + patience_seconds - now
                    self._check(missing, left, patience_seconds)
                    if now >= next_line:
                        next_line = now + _PROGRESS_SECONDS
                        self._log_waiting(missing, left)
                    self._changed.wait(min(left, next_line - now))
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def facts(self):
        """The facts of all workers, in their order: list of dict."""
        known = {i: message["facts"] for i, message in self._received.items()}
        known[self._workers.index] = self._facts
        return [known[index] for index in range(self._workers.count)]

    def check_failures(self):
        """Raises a ValueError if another worker cannot train."""
        for _, message in sorted(self._received.items()):
            if message["reason"]:
                raise ValueError(message["reason"])

    def answer(self, message):
        """The answer to another worker's message: dict."""
        return worker_messages.make(
            self._workers, "answer", message["index"], nonce=self._nonce
        )

    def take(self, message):
        """Records another worker's facts or farewell."""
        index, nonce = message["index"], message["nonce"]
        with self._changed:
            if message["kind"] == "facts":
                self._failure = self._failure or _mismatch(
                    self._workers,
                    message,
                    place=message["to"],
                    index=self._workers.index,
                )
                if not self._failure:
                    self._received[index] = message
                    self._log_failure(message)
            # The farewell of a process that has been replaced is ignored.
            elif nonce == self._received.get(index, message)["nonce"]:
                self._failure = self._failure or message["reason"]
            self._changed.notify_all()

    def leave(self, reason):
        """Tells the others that this worker has ended, and why."""
        reason = _sendable(self._reason or reason)
        threads = [
            worker_messages.in_background(self._say_farewell, index, reason)
            for index in self._others()
        ]
        deadline = time.monotonic() + _FAREWELL_SECONDS
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))

    def _others(self):
        count = self._workers.count
        return [i for i in range(count) if i != self._workers.index]

    def _missing(self):
        """The workers that this one has not met: list of int."""
        return [
            index
            for index in self._others()
            if index not in self._received or not self._has_answered(index)
        ]

    def _has_answered(self, index):
        """Whether the process that sent its facts has also received ours."""
        if index not in self._answered:
            return False
        latest = self._received.get(index, {}).get("nonce")
        return latest in (None, self._answered[index])

    def _check(self, missing, left, patience_seconds):
        if self._failure:
            raise ValueError(self._failure)
        if left <= 0:
            raise ValueError(
                "all workers must come within cluster.patience_seconds="
                f"{patience_seconds:g}. Missing: {self._named(missing)}"
            )

    def _log_waiting(self, missing, left):
        _log.info(
            "cluster: worker %d of %d waits up to %.0f s for %s",
            self._workers.index,
            self._workers.count,
            left,
            self._named(missing),
        )

    def _log_failure(self, message):
        # The error is raised once all have come, so that all receive it.
        if message["reason"] and not self._reason:
            _log.warning("cluster: %s", message["reason"])

    def _named(self, indices):
        names = [
            f"{self._workers.name(i)}: {self._reasons.get(i, 'not there yet')}"
            for i in indices
        ]
        return "; ".join(names)

    def _deliver(self, index):
        """Sends the facts to a worker until it has answered."""
        while self._must_deliver(index):
            answer, reason = self._ask(
                index,
                "facts",
                facts=self._facts,
                reason=_sendable(self._reason),
            )
            with self._changed:
                self._reasons[index] = reason or "it does not reach this one"
                if answer:
                    self._failure = self._failure or _mismatch(
                        self._workers,
                        answer,
                        place=index,
                        index=answer["index"],
                    )
                    self._answered[index] = answer["nonce"]
                self._changed.notify_all()
            time.sleep(_PAUSE_SECONDS)

    def _must_deliver(self, index):
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_over or not self._has_answered(index)
            )
            return not self._is_over

    def _ask(self, index, kind, **more):
        message = worker_messages.make(
            self._workers, kind, index, nonce=self._nonce, **more
        )
        return worker_messages.ask(self._workers, message)

    def _say_farewell(self, index, reason):
        self._ask(index, "farewell", reason=reason)


def _mismatch(workers, message, *, place, index):
    """Why a process does not belong to these workers: str, or None.

    Args:
        workers: `tf_config.Workers`.
        message: dict, of a worker.
        place: int, the index of the host that sent or received the message.
        index: int, the index that the process there has.
    """
    hosts = list(workers.hosts)
    if message["hosts"] != hosts:
        return (
            "TF_CONFIG must name the same hosts, in the same order, on all "
            f"workers. Received: {_listed(hosts)} on worker "
            f"{workers.index}, and {_listed(message['hosts'])} on "
            f"worker {message['index']}"
        )
    if place != index:
        return (
            "TF_CONFIG must have the task index of the process's own host. "
            f"Received: the process at {hosts[place]}, the host of worker "
            f"{place}, says that it is worker {index}"
        )
    return None


def _sendable(reason):
    """A reason as other workers accept it: a short line without codes."""
    shown = (x if x.isprintable() else "?" for x in reason[:_MOST_CHARACTERS])
    return "".join(shown)


def _listed(hosts):
    return textwrap.shorten(", ".join(hosts), 200, placeholder=" ...")

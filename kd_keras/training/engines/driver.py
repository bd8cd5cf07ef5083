"""Hands the tasks of a store to workers, and lost tasks to other workers."""

import collections
import dataclasses
import logging

from kd_keras.utils import progress

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Event:
    """A message from a worker, or about its end.

    Attributes:
        worker: the worker.
        kind: `answer`, the result of a method; `views`, the number of views
            labelled since the last event; `error`, a line about the user's
            input; `failure`, a traceback; `restarted`, the process has ended
            and a new one is starting; `lost`, the worker has ended for good.
        value: the answer, the number, or the text.
    """

    worker: object
    kind: str
    value: object = None


def run(crew):
    """Labels a store with the workers of a crew.

    Args:
        crew: an object with `workers`, a list of the workers that have not
            ended; `ask(worker, method, *arguments)`, which calls a method of
            `worker.Worker` in a worker; and `next()`, which waits for an
            `Event`.

    Returns:
        As `engines.label`.

    Raises:
        ValueError: as `engines.label`.
    """
    labelling = _Labelling(crew)
    # The first worker reads a new set; the others find its results in a cache.
    worker, lines = labelling.on_one("open", others="start")
    _log_lines(lines)
    _, begun = labelling.on_one("begin", preferred=worker, others="load")
    _log_lines(begun["log"])
    labelling.all_tasks(begun["path"], dict(begun["tasks"]))
    # This worker holds the lock of the store.
    _, left = labelling.on_one("finish", preferred=worker)
    return begun["path"], left


def _log_lines(lines):
    for line in lines:
        _log.info("%s", line)


class _Labelling:
    """The state of a labelling: which worker does what."""

    def __init__(self, crew):
        self._crew = crew
        # The call of each busy worker: a method and its arguments.
        self._asked = {}

    def on_one(self, method, *, preferred=None, others=""):
        """Calls a method in one worker, or in another one if that is lost.

        Args:
            method: str, of `worker.Worker`.
            preferred: worker that is called first, or None.
            others: str, a method that is called once in each of the other
                workers meanwhile, or empty.

        Returns:
            `(worker, answer)`.
        """
        # The workers that have had their call of `others`, or all without it.
        resting = set() if others else {*self._crew.workers}
        while True:
            idle = [w for w in self._crew.workers if w not in self._asked]
            asked = [w for w, call in self._asked.items() if call[0] == method]
            if idle and not asked:
                chosen = preferred if preferred in idle else idle[0]
                self._ask(chosen, method)
                idle.remove(chosen)
            for worker in (w for w in idle if w not in resting):
                self._ask(worker, others)
                resting.add(worker)
            event, call = self._next()
            if event.kind == "answer" and call[0] == method:
                return event.worker, event.value

    def all_tasks(self, path, views):
        """Hands out tasks until all are done.

        Args:
            path: str, the store's directory, for messages.
            views: dict of the numbers of the tasks to their sizes.
        """
        if not views:
            return
        report = progress.Counter(
            sum(views.values()), "view", verbose=progress.verbosity()
        )
        waiting, left = collections.deque(views), set(views)
        # The views counted of each task: a lost task starts again.
        counted = collections.Counter()
        while left:
            for worker in self._crew.workers:
                if waiting and worker not in self._asked:
                    self._ask(worker, "run", waiting.popleft())
            event, (method, *arguments) = self._next()
            if method != "run":
                continue
            (number,) = arguments
            if event.kind == "views":
                counted[number] += event.value
                report.add(event.value)
            elif event.kind == "answer":
                left.discard(number)
                report.add(views[number] - counted[number])
                report.end_file(f"{path}/{event.value}")
            else:
                report.add(-counted.pop(number, 0))
                waiting.appendleft(number)

    def _ask(self, worker, method, *arguments):
        self._asked[worker] = (method, *arguments)
        self._crew.ask(worker, method, *arguments)

    def _next(self):
        """Waits for an event: `(event, call)`, with the worker's open call.

        Raises:
            ValueError: if a worker reports an error, or the last one is lost.
            RuntimeError: if the code of a worker failed.
        """
        event = self._crew.next()
        call = self._asked.get(event.worker, ("",))
        if event.kind == "error":
            raise ValueError(event.value)
        if event.kind == "failure":
            raise RuntimeError(f"a worker failed:\n{event.value}")
        if event.kind != "views":
            self._asked.pop(event.worker, None)
        is_starting = event.kind == "restarted" and call[0] == "start"
        if event.kind in ("restarted", "lost") and not is_starting:
            self._log_loss(event, call)
        if event.kind == "restarted":
            self._ask(event.worker, "start")
        return event, call

    def _log_loss(self, event, call):
        if not self._crew.workers:
            raise ValueError(
                "labelling needs a process that stays alive. Received: "
                f"{event.value}, the last one; the same command resumes"
            )
        task = f" Its task {call[1]} is done again." if call[1:] else ""
        _log.warning("warning: %s.%s", event.value, task)

"""The division of tasks among workers, also after the loss of one."""

import collections

import pytest

from kd_keras.training.engines import driver
from kd_keras.training.engines.driver import Event


class Crew:
    """Workers that answer at once, unless a test sets another event.

    Args:
        count: int, the number of workers.
        instead: dict of `(worker, method)` or `(worker, method, number)` to
            the kind of event that comes instead of an answer, once.
    """

    def __init__(self, count, instead=None):
        self.workers = list(range(count))
        self.asked = []
        self._instead = instead or {}
        self._events = collections.deque()

    def ask(self, worker, method, *arguments):
        call = (worker, method, *arguments)
        self.asked.append(call)
        kind = self._instead.pop(call, "answer")
        if kind in ("lost", "restarted") and method == "run":
            self._events.append(Event(worker, "views", 3))
        value = {
            "open": ["data"],
            "begin": {"path": "s", "tasks": [(4, 10), (7, 20)], "log": []},
            "run": f"file-{arguments}",
            "finish": 5,
        }.get(method)
        value = value if kind == "answer" else f"worker {worker} has ended"
        self._events.append(Event(worker, kind, value))

    def next(self):
        event = self._events.popleft()
        if event.kind == "lost":
            self.workers.remove(event.worker)
        return event

    def runs(self):
        return [call for call in self.asked if call[1] == "run"]


def test_the_tasks_are_divided_and_one_worker_ends_the_store():
    crew = Crew(2)
    assert driver.run(crew) == ("s", 5)
    assert sorted(number for _, _, number in crew.runs()) == [4, 7]
    methods = [method for _, method, *_ in crew.asked]
    assert methods.count("begin") == methods.count("finish") == 1
    # The worker that holds the lock finishes the store.
    assert crew.asked[-1] == (0, "finish")


def test_all_load_the_teacher_at_once_when_one_has_opened_the_data():
    crew = Crew(3)
    driver.run(crew)
    assert crew.asked[:6] == [
        (0, "open"),
        (1, "start"),
        (2, "start"),
        (0, "begin"),
        (1, "load"),
        (2, "load"),
    ]


@pytest.mark.parametrize("kind", ["lost", "restarted"])
def test_the_task_of_a_worker_that_ends_is_done_again(kind, caplog):
    crew = Crew(2, {(1, "run", 7): kind})
    driver.run(crew)
    assert [number for _, _, number in crew.runs()] == [4, 7, 7]
    assert "worker 1 has ended. Its task 7 is done again." in caplog.text
    restarts = crew.asked.count((1, "start"))
    assert restarts == (2 if kind == "restarted" else 1)


@pytest.mark.parametrize("method", ["open", "begin"])
def test_another_worker_begins_if_the_first_one_ends(method):
    crew = Crew(2, {(0, method): "lost"})
    assert driver.run(crew) == ("s", 5)
    assert {worker for worker, *_ in crew.runs()} == {1}


def test_without_any_worker_the_command_ends_with_one_line():
    crew = Crew(1, {(0, "run", 4): "lost"})
    with pytest.raises(ValueError, match="worker 0 has ended, the last one"):
        driver.run(crew)


def test_an_error_of_a_worker_ends_all():
    crew = Crew(2, {(0, "begin"): "error"})
    with pytest.raises(ValueError, match="^worker 0 has ended$"):
        driver.run(crew)
    crew = Crew(2, {(1, "run", 7): "failure"})
    with pytest.raises(RuntimeError, match="a worker failed"):
        driver.run(crew)

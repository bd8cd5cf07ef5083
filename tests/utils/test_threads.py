"""A function is called for each number, in several threads."""

import os
import threading

import pytest

from kd_keras.utils import threads


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_each_number_is_used_once(count, parallel):
    calls = []
    threads.for_each(calls.append, count, parallel=parallel)
    assert sorted(calls) == list(range(count))


def test_threads_work_at_the_same_time(monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    threads._pool.cache_clear()
    count = len(os.sched_getaffinity(0))
    meeting = threading.Barrier(count)
    threads.for_each(lambda _: meeting.wait(timeout=30), count, parallel=True)
    threads._pool.cache_clear()


def test_this_thread_works_alone_if_asked():
    workers = set()
    threads.for_each(
        lambda _: workers.add(threading.get_ident()), 50, parallel=False
    )
    assert workers == {threading.get_ident()}


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("wrong", [0, 1, 49])
def test_a_fault_is_raised(wrong, parallel):
    def fail(i):
        if i == wrong:
            raise ValueError(f"number {i}")

    with pytest.raises(ValueError, match=f"number {wrong}"):
        threads.for_each(fail, 50, parallel=parallel)

"""The steps after which a state is saved within an epoch."""

import pytest
import tensorflow as tf

from kd_keras.training import cluster, save_times


class Clock:
    """A clock that the test moves: calling it returns seconds."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def saved_steps(times, clock, *, seconds_of, steps):
    """The steps of one epoch after which a state is saved: list of int."""
    saved = []
    times.note_saved()
    times.begin_epoch()
    for step in range(1, steps + 1):
        clock.seconds += seconds_of(step)
        if times.is_due(step):
            saved.append(step)
            times.note_saved()
    return saved


def agreed(minutes, clock):
    strategy = tf.distribute.get_strategy()
    return save_times.AgreedTimes(minutes, strategy=strategy, clock=clock)


def test_workers_save_when_the_minutes_have_passed_and_ask_rarely(monkeypatch):
    asked = []

    def from_all(strategy, value):
        asked.append(value)
        return [value]

    monkeypatch.setattr(cluster, "from_all", from_all)
    clock = Clock()
    times = agreed(1.0, clock)

    # The first step compiles.
    saved = saved_steps(
        times,
        clock,
        seconds_of=lambda step: 20.0 if step == 1 else 0.1,
        steps=2000,
    )
    # Every 600 steps; the first minute has the step that compiles.
    assert saved == [401, 1002, 1603]
    # Every 5 seconds, which are 50 steps.
    assert len(asked) < 60


def test_workers_without_minutes_save_nothing_within_an_epoch():
    clock = Clock()
    times = agreed(0.0, clock)
    assert not saved_steps(times, clock, seconds_of=lambda _: 1e6, steps=5)


@pytest.mark.parametrize("minutes", [0.0, 10.0])
def test_all_save_where_they_agree_if_another_was_interrupted(
    monkeypatch, minutes
):
    clock = Clock()
    times = agreed(minutes, clock)

    def from_all(strategy, value):
        return [value, [None, clock.seconds > 7.0]]

    monkeypatch.setattr(cluster, "from_all", from_all)
    saved = saved_steps(times, clock, seconds_of=lambda _: 0.1, steps=120)
    # They agree after 1, 2, 4 ... 64 steps, and then every 5 seconds.
    (step,) = saved
    assert 110 < step < 120


def test_tiny_minutes_save_after_every_step_of_one_process_and_of_workers():
    for make in (agreed, lambda x, c: save_times.SaveTimes(x, clock=c)):
        clock = Clock()
        saved = saved_steps(
            make(1e-9, clock), clock, seconds_of=lambda _: 0.01, steps=4
        )
        assert saved == [1, 2, 3, 4]

"""Interruptions: who handles them, and when."""

import signal
import subprocess
import sys
import threading

import pytest

from kd_keras.utils import interruption


@pytest.fixture(autouse=True)
def default_handler(monkeypatch):
    monkeypatch.setattr(interruption, "_happened", threading.Event())
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def handler():
    return signal.getsignal(signal.SIGINT)


def test_the_handler_is_that_of_the_context():
    with interruption.exiting_at_once():
        outer = handler()
        assert outer is not signal.default_int_handler
        assert not interruption.has_happened()
        interruption.raise_error()
        working = handler()
        with interruption.exiting_at_once():
            assert handler() is not working
        assert handler() is working
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert interruption.has_happened()
    with interruption.ignored():
        assert handler() is signal.SIG_IGN
    assert handler() is signal.default_int_handler


def test_a_handler_of_somebody_else_stays():
    # As of a command that a shell runs in the background.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interruption.exit_at_once()
    interruption.raise_error()
    assert handler() is signal.SIG_IGN


def test_a_deferred_interruption_waits_until_it_is_delivered():
    with interruption.deferred() as deferral:
        deferral.deliver()
        signal.raise_signal(signal.SIGINT)
        assert deferral.has_come
        with pytest.raises(KeyboardInterrupt):
            deferral.deliver()
        assert not deferral.has_come
    assert handler() is signal.default_int_handler


def test_a_second_interruption_and_the_end_of_the_context_deliver_the_first():
    with interruption.deferred(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interruption.deferred():
        signal.raise_signal(signal.SIGINT)


def test_an_ignored_interruption_is_not_deferred():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruption.deferred() as deferral:
        signal.raise_signal(signal.SIGINT)
        assert not deferral.has_come


def terminated(contexts):
    """A process that gets a termination within some contexts."""
    script = f"""
import signal
from kd_keras.utils import interruption
with {contexts} as deferral:
    signal.raise_signal(signal.SIGTERM)
    print("the state is saved", flush=True)
    deferral.deliver()
    print("never")
"""
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "contexts",
    [
        "interruption.deferred()",
        "interruption.announcing_termination(), interruption.deferred()",
    ],
)
def test_a_deferred_termination_ends_the_process_by_its_signal(contexts):
    ended = terminated(contexts)
    assert ended.returncode == -signal.SIGTERM
    assert ended.stdout == "the state is saved\n"
    assert ended.stderr.endswith(f"\n{interruption.MESSAGE}\n")
    assert ended.stderr.count(interruption.MESSAGE) == 1


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_termination_is_announced_within_the_context_alone(before):
    usual = signal.signal(signal.SIGTERM, before)
    try:
        with interruption.announcing_termination():
            inside = signal.getsignal(signal.SIGTERM)
            assert (inside is before) == (before is signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is before
    finally:
        signal.signal(signal.SIGTERM, usual)


def test_who_handles_a_termination_stays():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with interruption.keeping_termination():
            signal.signal(signal.SIGTERM, lambda number, frame: None)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)

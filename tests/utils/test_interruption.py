"""Interruptions: who handles them, and when."""

import signal
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

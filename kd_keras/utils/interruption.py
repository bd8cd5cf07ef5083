"""Ends a command quietly where it is interrupted.

While a command starts, nothing needs clearing away, and an import would print
a traceback or miss the interruption: the process ends at once. Later,
`KeyboardInterrupt` is raised as usual.
"""

import contextlib
import os
import signal
import threading

EXIT_CODE = 130
MESSAGE = "interrupted; run the same command again to continue"
_DEFERRED_MESSAGE = (
    "interrupted: ends once the state is saved; a second interruption ends at "
    "once"
)


def exit_at_once():
    """Ends the process with `EXIT_CODE` at an interruption from now on.

    If interruptions are ignored, or other code handles them, that stays so.
    """
    if signal.getsignal(signal.SIGINT) in (
        signal.default_int_handler,
        _raise_error,
    ):
        signal.signal(signal.SIGINT, _ExitAtOnce())


def raise_error():
    """Raises `KeyboardInterrupt` at an interruption from now on."""
    if isinstance(signal.getsignal(signal.SIGINT), _ExitAtOnce):
        signal.signal(signal.SIGINT, _raise_error)


def has_happened():
    """Whether `KeyboardInterrupt` was raised for an interruption.

    TensorFlow may turn it into an error of another kind.
    """
    return _happened.is_set()


@contextlib.contextmanager
def exiting_at_once():
    """As `exit_at_once`, within the context; for the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    exit_at_once()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def ignored():
    """Ignores interruptions, also in processes that are started inside."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def announcing_termination():
    """Lets a termination (SIGTERM) write `MESSAGE` before it ends the process.

    If terminations are ignored, or other code handles them, that stays so.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    announce = _Announce()
    signal.signal(signal.SIGTERM, announce)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        announce.close()


@contextlib.contextmanager
def keeping_termination():
    """Restores the handler of SIGTERM that a library replaces in the context.

    At a SIGTERM, TensorFlow's cluster would only wait, and Ray would abort
    with its stack.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # None is a handler that Python does not know.
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and before is not None:
            signal.signal(signal.SIGTERM, before)


class Deferral:
    """An interruption (SIGINT) or termination (SIGTERM) that waits.

    Attributes:
        has_come: bool, whether one waits.
    """

    def __init__(self):
        self.has_come = False
        self._handlers = {}

    def deliver(self):
        """Lets the signal that waits, if there is one, have its effect."""
        if self.has_come:
            self.has_come = False
            handler = self._handlers[self._number]
            if handler is signal.SIG_DFL:
                # The signal ends the process, so the message comes from here.
                _say(2, MESSAGE)
            signal.signal(self._number, handler)
            signal.raise_signal(self._number)

    def take_over(self):
        """Handles the signals that nothing else handles, in the main thread."""
        usual = {
            signal.SIGINT: (signal.default_int_handler, _raise_error),
            signal.SIGTERM: (signal.SIG_DFL,),
        }
        if threading.current_thread() is not threading.main_thread():
            return
        for number, handlers in usual.items():
            before = signal.getsignal(number)
            if before in handlers or isinstance(before, _Announce):
                self._handlers[number] = before
                signal.signal(number, self._receive)

    def give_back(self):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _receive(self, number, frame):
        """A signal handler."""
        self._number = number
        if self.has_come:
            self.deliver()
            return
        self.has_come = True
        _say(2, _DEFERRED_MESSAGE)


@contextlib.contextmanager
def deferred():
    """Yields a `Deferral` of interruptions to where they lose nothing.

    The work inside calls its `deliver` there; the end of the context is such
    a place, too. A second interruption is not deferred.
    """
    deferral = Deferral()
    deferral.take_over()
    try:
        yield deferral
    finally:
        deferral.give_back()
    deferral.deliver()


_happened = threading.Event()


def _raise_error(number, frame):
    """A signal handler."""
    _happened.set()
    raise KeyboardInterrupt


class _ExitAtOnce:
    """A signal handler, which writes to the stderr that it was created with."""

    def __init__(self):
        # Messages of imports are dropped, which replaces the descriptor.
        self._stderr = os.dup(2)

    def __call__(self, number, frame):
        _say(self._stderr, MESSAGE)
        os._exit(EXIT_CODE)


class _Announce:
    """A signal handler, which writes to the stderr that it was created with.

    Then the signal has its usual effect: the process ends at once. Temporary
    files that it leaves are cleared by a later one.
    """

    def __init__(self):
        # Converters are silenced, which replaces the descriptor.
        self._stderr = os.dup(2)

    def close(self):
        os.close(self._stderr)

    def __call__(self, number, frame):
        _say(self._stderr, MESSAGE)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _say(descriptor, message):
    """Writes a line, as a signal handler may."""
    with contextlib.suppress(OSError):
        os.write(descriptor, f"\n{message}\n".encode())

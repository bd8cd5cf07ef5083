"""Decides after which steps of an epoch the state is saved."""

import math
import time

from kd_keras.training import cluster
from kd_keras.utils import strategies

# The longest time between two agreements of workers: interruptions wait for it.
_AGREES_SECONDS = 5.0


def make(minutes, strategy):
    """The `SaveTimes` of a strategy's workers.

    Args:
        minutes: float, as of `SaveTimes`.
        strategy: `tf.distribute.Strategy`.
    """
    if strategies.num_workers(strategy) > 1:
        return AgreedTimes(minutes, strategy=strategy)
    return SaveTimes(minutes)


class SaveTimes:
    """Lets a state be saved whenever some minutes have passed.

    Args:
        minutes: float, the time between two states; 0 for none within an
            epoch.
        clock: function that returns seconds.
    """

    def __init__(self, minutes, *, clock=time.monotonic):
        self._minutes = minutes
        self._clock = clock

    def note_saved(self):
        """Notes that the state was saved now."""
        self._saved_at = self._clock()

    def begin_epoch(self):
        """Notes that the first step of an epoch comes next."""

    def is_due(self, step, *, ends=False):
        """Whether the state is to be saved after a step.

        Args:
            step: int, the steps of the epoch that are finished.
            ends: bool, whether this process was interrupted, so that it ends
                as soon as the state is saved.
        """
        minutes = (self._clock() - self._saved_at) / 60
        return ends or 0 < self._minutes <= minutes


class AgreedTimes(SaveTimes):
    """Lets all workers of a cluster save a state after the same steps.

    If they agreed after every step, all would wait each time. So they agree
    only after some steps. The chief chooses the next such step from its clock
    and the speed since the last one: at most twice as far into the epoch, and
    about 5 seconds later. A worker that was interrupted waits until then.

    Args:
        minutes: float, as of `SaveTimes`; the chief's counts.
        strategy: `tf.distribute.Strategy` of all workers.
        clock: function that returns seconds.
    """

    def __init__(self, minutes, *, strategy, clock=time.monotonic):
        super().__init__(minutes, clock=clock)
        self._strategy = strategy

    def begin_epoch(self):
        self._asks_after = 1
        self._asked = 0, self._clock()

    def is_due(self, step, *, ends=False):
        if step < self._asks_after:
            return False
        answers = cluster.from_all(self._strategy, [self._plan(step), ends])
        (is_due, self._asks_after), _ = answers[0]
        self._asked = step, self._clock()
        return is_due or any(ends for _, ends in answers)

    def _plan(self, step):
        """Whether a state is due after a step, and when to ask again."""
        is_due = super().is_due(step)
        now = self._clock()
        left = _AGREES_SECONDS
        if self._minutes:
            since = 0 if is_due else now - self._saved_at
            left = min(left, self._minutes * 60 - since)
        before, asked_at = self._asked
        # At least the shortest time that a clock can measure.
        seconds_per_step = max((now - asked_at) / (step - before), 1e-6)
        steps = min(math.ceil(left / seconds_per_step), step)
        return is_due, step + max(1, steps)

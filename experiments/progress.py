"""Logs how far a series of experiments is."""

import logging
import time

_log = logging.getLogger(__name__)


class Progress:
    """Logs how much is done and the time that is left.

    Args:
        costs: list of floats, the relative times of the runs that are left.
    """

    def __init__(self, costs):
        self._count, self._left = len(costs), sum(costs)
        self._done = self._seen = 0
        self._start = time.monotonic()

    def add(self, cost, line):
        """Logs a result, a dict of JSON values."""
        self._done += 1
        self._seen += cost
        self._left -= cost
        seconds = time.monotonic() - self._start
        result = ""
        if "accuracy" in line:
            result = f", {line['accuracy']:.2%}"
        elif "errors" in line:
            result = f", {line['errors']:,} errors"
        _log.info(
            "%d of %d: %s, seed %d%s; about %d minutes left",
            self._done,
            self._count,
            line["experiment"],
            line["seed"],
            result,
            round(seconds / self._seen * self._left / 60),
        )

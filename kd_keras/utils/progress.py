"""Progress bars for long work, and the verbosity of Keras's own."""

import logging
import sys
import time

_log = logging.getLogger(__name__)


def verbosity(*, without_terminal=2):
    """Keras's `verbose`: 1, a bar, in a terminal.

    Args:
        without_terminal: int, the value for a log file: 2 for a line an
            epoch, 0 for nothing.
    """
    return 1 if sys.stdout.isatty() else without_terminal


def bar(total, unit, *, verbose=None, **options):
    """A `keras.utils.Progbar`, drawn in a terminal and silent elsewhere.

    Args:
        total: int, or None where it is not known yet.
        unit: str, the counted noun in the singular, such as `view`.
        verbose: int, as in Keras, instead of the default.
        **options: further arguments of `keras.utils.Progbar`.
    """
    # Imported here: `--help` does not wait for TensorFlow.
    import keras

    if verbose is None:
        verbose = verbosity(without_terminal=0)
    return keras.utils.Progbar(
        total, verbose=verbose, unit_name=unit, **options
    )


class Counter:
    """Progress of work that fills files: a bar, or a line for each file.

    Args:
        total: int, the total count.
        unit: str, the counted noun in the singular, such as `view`.
        verbose: 1 for a bar, 2 for lines.
    """

    def __init__(self, total, unit, *, verbose):
        self._total = total
        self._unit = unit
        self._done = 0
        self._began = time.perf_counter()
        self._bar = None
        if verbose == 1 and total:
            self._bar = bar(
                total,
                unit,
                verbose=verbose,
                stateful_metrics=[f"{unit}s_per_second"],
            )

    def add(self, count):
        """Adds to the count; less than zero for work that is done again."""
        self._done += count
        if self._bar:
            rate = (f"{self._unit}s_per_second", self._rate())
            self._bar.update(self._done, [rate])

    def end_file(self, path):
        """Reports that a file was written."""
        if self._bar:
            return
        rate = self._rate()
        _log.info(
            "%s: %d of %d %ss, %.0f a second, %.0f seconds left",
            path,
            self._done,
            self._total,
            self._unit,
            rate,
            (self._total - self._done) / rate if rate else 0,
        )

    def _rate(self):
        return self._done / (time.perf_counter() - self._began)

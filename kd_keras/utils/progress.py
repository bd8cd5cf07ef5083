"""Progress bars for long work, and the verbosity of Keras's own."""

import sys


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
        unit: str, what is counted, in the singular.
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

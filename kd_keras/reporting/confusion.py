"""Confusion matrices of the report, and the classes that they show."""

import numpy as np

# The most rows and columns of a matrix.
_MATRIX_CLASSES = 20


def shown_classes(report):
    """The classes with most of the student's errors: sorted list of ints."""
    matrix = np.array(report["measured"]["student"]["confusion"])
    missed = matrix.sum(axis=1) - matrix.diagonal()
    most = np.argsort(-missed, kind="stable")[:_MATRIX_CLASSES]
    return sorted(most.tolist())


def matrices(report):
    """Confusion of each model over the shown classes.

    Returns:
        Dict of role to rows of cells `(count, share)`: the share of the
        class's examples, which the colour shows.
    """
    shown = shown_classes(report)
    return {
        role: _cells(np.array(measured["confusion"]), shown)
        for role, measured in report["measured"].items()
    }


def _cells(matrix, shown):
    return [
        [
            (int(matrix[i, j]), matrix[i, j] / max(matrix[i].sum(), 1))
            for j in shown
        ]
        for i in shown
    ]

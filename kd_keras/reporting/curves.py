"""Learning curves of the report: by epoch, and by seconds of training."""

import numpy as np

from kd_keras.reporting import charts

# Accuracy at which the curves are compared, by data set. CIFAR-10: the accuracy
# of the student in the blog post that the cifar10 recipe reproduces.
_MARKS = {"cifar10": 0.86}


def learning_curves(report):
    """Draws the learning curves of student and baseline.

    Args:
        report: dict of `gathering.gather`.

    Returns:
        Dict of `charts`, `mark` (an accuracy or None), `passed` (where each
        role first passes the mark) and `quantities` (what each curve shows);
        None without a record of epochs.
    """
    curves = report["curves"]
    if not curves:
        return None
    quantities = {role: _quantity(epochs) for role, epochs in curves.items()}
    keys = {key for key, _ in quantities.values()}
    # Agreement with a teacher is not compared with a mark of accuracy.
    mark = None if "agreement" in keys else _MARKS.get(report["data"])
    y_label = "share of training images"
    if len(keys) == 1:
        y_label = next(iter(quantities.values()))[1]
    drawn, passed = [], []
    for x_label, x_of in (
        ("epoch", _epochs),
        ("seconds of training", _seconds),
    ):
        lines = {
            role: (x_of(epochs), [x[quantities[role][0]] for x in epochs])
            for role, epochs in curves.items()
        }
        title = f"Learning curves: {y_label} by {x_label}"
        drawn.append(
            charts.learning_curves(
                lines, x_label=x_label, y_label=y_label, title=title, mark=mark
            )
        )
        passed.append(
            {
                role: mark and charts.first_past(x, y, mark)
                for role, (x, y) in lines.items()
            }
        )
    return {
        "charts": drawn,
        "mark": mark,
        "passed": [(role, passed[0][role], passed[1][role]) for role in curves],
        "quantities": {role: text for role, (_, text) in quantities.items()},
    }


def _epochs(epochs):
    return [epoch["epoch"] for epoch in epochs]


def _seconds(epochs):
    return np.cumsum([epoch["seconds"] for epoch in epochs]).tolist()


def _quantity(epochs):
    """The best measure of accuracy that every epoch has: `(key, text)`."""
    for key, text in (
        ("val_accuracy", "accuracy on held-out images"),
        ("accuracy", "accuracy on training images"),
    ):
        if all(key in epoch for epoch in epochs):
            return key, text
    return "agreement", "agreement with the teacher on training images"

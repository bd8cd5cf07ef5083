"""Soft targets as regularisers: students of 3 % of the data."""

import numpy as np

from experiments.paper import estimates
from experiments.paper.sections import rows
from kd_keras.utils import tables

_SHARES_OF_EPOCHS = (0.05, 0.1, 0.25, 0.5, 1.0)
_TEXT = """
## Soft targets as regularisers: 3 % of the data

MNIST: 1,800 of 50,000 training images, and 10,000 others for validation.
CIFAR-10: 1,500 of 45,000, and 5,000. The teacher was trained on all images,
validation included. So validation is clean for the students on labels alone,
and it stops them early. A run that is stopped early is trained again, at the
same constant learning rate, up to the epoch of the best validation; it is
bit-identical to the beginning of the run to the end. The paper's figures are
from its speech system; on all of its data with labels it has 63.4 % train,
58.9 % test. CIFAR-10's teacher is `savedmodels/cifar10_teacher` at the commit
of each result. The last row is not the paper's: half of the student's views
combine two images, one pasted into the other (CutMix). Such a view has no
label, only the teacher's predictions.

{table}

Learning curves at shares of the epochs, mean over the seeds. Validation
accuracy stands for test accuracy, because the test set is read once. Training
accuracy is over the views of an epoch; for students without labels it is the
agreement with the teacher.

{curves}
"""


def text(results):
    """The section as Markdown."""
    return _TEXT.format(table=_table(results), curves=_curves(results))


def _table(results):
    """Final accuracies and epochs of each experiment."""
    head = ["", "NAME", "paper", "train accuracy", "test accuracy"]
    lines = [[*head, "epochs", "n"]]
    for experiment in rows.of_group("three_percent"):
        found = results.get(experiment.name, [])
        lines.append(
            [
                experiment.title,
                f"`{experiment.name}`",
                experiment.paper,
                *_cells(found),
                str(len(found)),
            ]
        )
    return tables.markdown(lines)


def _cells(lines):
    """Train accuracy, test accuracy and epochs, as text."""
    if not lines:
        return [rows.NOT_MEASURED, "", ""]
    train = [1 - x["train_errors"] / x["train_examples"] for x in lines]
    test = [1 - x["errors"] / x["test_examples"] for x in lines]
    return [
        estimates.spread(train, ".2%"),
        estimates.spread(test, ".2%"),
        estimates.spread(rows.values(lines, "epochs"), ".0f"),
    ]


def _curves(results):
    """Training and validation accuracy along the epochs."""
    lines = [["", "", *(f"{share:.0%}" for share in _SHARES_OF_EPOCHS)]]
    for experiment in rows.of_group("three_percent"):
        # A run that is stopped early is the beginning of another.
        if "early" in experiment.name:
            continue
        found = results.get(experiment.name, [])
        for part, key in (
            ("train", "train_curve"),
            ("validation", "validation_accuracies"),
        ):
            cells = [rows.NOT_MEASURED] * len(_SHARES_OF_EPOCHS)
            if found:
                curve = np.mean(rows.values(found, key), axis=0)
                cells = [
                    f"{curve[max(1, round(share * len(curve))) - 1]:.2%}"
                    for share in _SHARES_OF_EPOCHS
                ]
            lines.append([experiment.title, part, *cells])
    return tables.markdown(lines)

"""Specialists: together with their generalist, and distilled."""

import numpy as np

from experiments.paper.sections import rows
from kd_keras.utils import tables

_TEXT = """
## Specialists

CIFAR-10: the generalist is `savedmodels/cifar10_teacher`.
`configs/cifar10_specialists.py` describes the specialists and the students,
which see no labels. The paper's figure is from 61 specialists on a data set of
15,000 classes.

{cifar10}

Twenty classes: MNIST and Fashion-MNIST joined, real images of 28 x 28. Errors
are on 20,000 test images. The generalist, the specialists and the
students, which see no labels, have one architecture;
`configs/paper_twenty.py` describes them.

{twenty}
"""
_GROUP = """\
{table}

Test accuracy by the number of specialists that cover the true class, seed 0, as
in the paper's tables 3 and 4:

{by_coverage}"""


def text(results):
    """The section as Markdown."""
    return _TEXT.format(
        cifar10=_group(results, "specialists", "cifar10"),
        twenty=_group(results, "twenty", "twenty"),
    )


def _group(results, group, prefix):
    """A group's table, and its test accuracy by coverage."""
    lines = results.get(f"{prefix}_specialists", [])
    return _GROUP.format(
        table=rows.table(results, group),
        by_coverage=_by_coverage(lines[0]["by_covering"])
        if lines
        else f"{rows.NOT_MEASURED.capitalize()}.",
    )


def _by_coverage(counts):
    """Accuracy by the number of specialists that cover the true class."""
    keys = ("examples", "generalist_correct", "correct")
    groups = [
        (str(row["covering"]), [row[key] for key in keys]) for row in counts
    ]
    groups.append(("all", np.sum([numbers for _, numbers in groups], axis=0)))
    head = ["specialists", "examples", "generalist", "together"]
    lines = [[*head, "more correct"]]
    for covering, (examples, before, after) in groups:
        lines.append(
            [
                covering,
                str(examples),
                f"{before / examples:.2%}",
                f"{after / examples:.2%}",
                f"{after - before:+d}",
            ]
        )
    return tables.markdown(lines)

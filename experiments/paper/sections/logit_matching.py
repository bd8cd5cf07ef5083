"""Logit matching as the limit of high temperatures."""

import numpy as np

from experiments.paper import estimates
from experiments.paper.sections import rows
from kd_keras.utils import tables

_TEXT = """
## At high temperatures, distillation is logit matching

The same student (2 x 800, seed 0) with T^2 KL at high temperatures, and with
the matching of logits of mean 0 (the paper's equation 4). Gradient: the norm of
the difference from logit matching's gradient, relative to the norm of that
gradient, by the logits of the untrained student on 500 training images.

{table}
"""


def text(results):
    """The section as Markdown."""
    head = ["", "NAME", "errors", "agreement of the students", "gradient"]
    lines = [
        [x.title, f"`{x.name}`", *_cells(results.get(x.name, []))]
        for x in rows.of_group("matching")
    ]
    return _TEXT.format(table=tables.markdown([head, *lines]))


def _cells(lines):
    """Errors, agreement and gradient of one experiment, as text."""
    if not lines:
        return [rows.NOT_MEASURED, "", ""]
    errors = estimates.spread(rows.values(lines, "errors"), ".0f")
    if "gradient_gap" not in lines[0]:
        return [errors, "", ""]
    agreement = np.mean(rows.values(lines, "agreement_with_matching"))
    gap = np.mean(rows.values(lines, "gradient_gap"))
    return [errors, f"{agreement:.2%}", f"{gap:.2g}"]

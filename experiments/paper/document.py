"""Writes the document of the paper's experiments from the results.

Every figure of ours in it is computed here from `results/paper.jsonl`.
"""

import pathlib

from experiments.paper.sections import (
    ensemble,
    grid,
    grid_chart,
    logit_matching,
    mnist,
    provenance,
    specialists,
    three_percent,
)
from kd_keras.utils import files

_SECTIONS = (
    mnist,
    grid,
    logit_matching,
    ensemble,
    three_percent,
    specialists,
    provenance,
)
_HEAD = f"""\
<!-- {files.MARK} paper -->

# The paper's experiments

A reproduction of Hinton, Vinyals and Dean, 2015,
[arXiv:1503.02531](https://arxiv.org/abs/1503.02531). `python -m
experiments.paper` writes this file from `results/paper.jsonl`; no figure of
ours is entered by hand. One experiment alone is run by

    python -m experiments.paper --experiments=NAME

Figures are errors on the 10,000 test images unless stated otherwise: mean ±
standard deviation over n seeds. Agreement is the share of test images for which
the student predicts the same class as its teacher. Each run reads the test set
once. The configurations are `configs/paper_mnist.py`,
`configs/paper_cifar10.py`, `configs/paper_twenty.py` and
`configs/cifar10_specialists.py`; `docs/experiments/` records how their
hyperparameters were chosen. Seconds are training time alone, on a machine with
other work beside it.
"""


def write(lines, folder):
    """Writes `paper.md`, and `paper_grid.svg` if the grid has results.

    Args:
        lines: list of dicts, as in `results/paper.jsonl`.
        folder: path of the directory.

    Returns:
        Path of `paper.md`.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for line in lines:
        results.setdefault(line["experiment"], []).append(line)
    cells = grid.errors_by_cell(results)
    if cells:
        grid_chart.write(cells, folder / "paper_grid.svg")
    text = _HEAD + "".join(section.text(results) for section in _SECTIONS)
    files.write_output(folder / "paper.md", text, by="paper")
    return folder / "paper.md"

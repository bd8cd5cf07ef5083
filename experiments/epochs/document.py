"""Writes the document of accuracy against epochs from the results.

Every figure in it is computed here from `results/cifar10_epochs.jsonl`.
"""

import collections
import pathlib

import numpy as np

from experiments import provenance
from experiments.epochs import runner
from experiments.paper import estimates
from kd_keras.utils import files, tables

NAME = "cifar10_epochs.md"
BY = "epochs"
_TITLES = {
    "airbench": "airbench, 295,544 parameters",
    "resnet8": "ResNet-8, 78,666 parameters",
    "resnet12": "ResNet-12, 298,794 parameters",
    "resnet20": "ResNet-20, 274,442 parameters",
}
_HEADER = ("epochs", "student, no label", "baseline, on labels", "difference")

_TEXT = """\
<!-- {mark} {by} -->

# Accuracy against epochs

**Does a student gain more from a long training than the same network on
labels?**

```bash
make epochs
```

writes this page from `results/cifar10_epochs.jsonl`; no figure in it is entered
by hand. The student learns without a label from ten stored views of each
training image of CIFAR-10, and an epoch shows one of them
(`configs/cifar10_long.py`). The baseline is the same network on all labels,
with a new view of each image in each epoch. Rates of both were searched for 10
epochs. The warm-up takes five epochs, or a fifth of a shorter training. Each
run reads the 10,000 test images once, after its last epoch.

Right answers in percent, mean ± standard deviation of the seeds, or one seed:

{tables}

## Provenance of the figures

{provenance}

Hours and seconds include the pauses of a process that was stopped and went on.
"""


def write(lines, path):
    """Writes the document.

    Args:
        lines: list of dicts, as in `results/cifar10_epochs.jsonl`.
        path: path of the file.
    """
    accuracies = collections.defaultdict(list)
    for line in lines:
        right = 1 - line["errors"] / line["test_examples"]
        accuracies[line["experiment"]].append(100 * right)
    text = _TEXT.format(
        mark=files.MARK,
        by=BY,
        tables="\n\n".join(_tables(accuracies)) or "No result yet.",
        provenance=provenance.markdown(lines),
    )
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_output(path, text, by=BY)


def _tables(accuracies):
    """A heading and a table for each network with results."""
    for network, title in _TITLES.items():
        names = [name.split("_") for name in accuracies]
        epochs = {int(count) for name, _, count in names if name == network}
        if epochs:
            rows = [
                _row(network, count, accuracies) for count in sorted(epochs)
            ]
            yield f"## {title}\n\n{tables.markdown([_HEADER, *rows])}"


def _row(network, epochs, accuracies):
    student, baseline = (
        accuracies.get(runner.Experiment(network, stage, epochs).name, [])
        for stage in runner.STAGES
    )
    difference = "-"
    if student and baseline:
        difference = f"{np.mean(student) - np.mean(baseline):+.2f}"
    return [str(epochs), _spread(student), _spread(baseline), difference]


def _spread(values):
    return estimates.spread(values, ".2f") if values else "-"

"""Writes the document of few labels from the results.

Every figure in it is computed here from `results/few_labels.jsonl`.
"""

import collections
import pathlib

import numpy as np

from experiments import provenance
from experiments.few_labels import catalogue
from experiments.paper import estimates
from kd_keras.config import recipes
from kd_keras.utils import files, tables

NAME = "cifar10_few_labels.md"
BY = "few_labels"
_RECIPE = recipes.module(catalogue.RECIPE)
_COUNTS = _RECIPE.LABELS
# The entries of a result's provenance.
PROVENANCE = ("seconds", "commit", "hardware", "precision")
_CLASSES, _TRAIN_PER_CLASS = 10, 5_000
# The bounds that were set before the runs: accuracy and gain of the student
# from 50 labels of each class, and p of the student from 500.
_ACCURACY, _GAIN, _CHANCE = 0.80, 0.25, 0.05
_STUDENTS = (
    ("soft", "The first one"),
    ("soft2", "The second one"),
)

_TEXT = """\
<!-- {mark} {by} -->

# Few labels, and a network trained elsewhere

**What are 500 labels worth if a network that was trained elsewhere is at
hand?**

```bash
make few-labels
```

writes this page from `results/few_labels.jsonl`; no figure in it is entered by
hand. EfficientNet-Lite0 (4.7 M parameters) was trained on ImageNet and never
here. It embeds {views} views of each of the 50,000 training images of CIFAR-10,
resized from 32 to 224 pixels, once. A *probe* is a linear head on these
embeddings, fitted to the few labels. It teaches a student of {parameters}
parameters, which takes 32 pixels: the student sees all 50,000 images, and no
label.

The student becomes better than its teacher. So it predicts a label for each
training image, and a second probe is fitted to these labels. This one teaches a
second student. No other true label is used. The second round was added when the
first student had been measured; it was chosen on held-out training images.

## Accuracy on the 10,000 test images

Mean ± standard deviation of the seeds. A seed chooses the labelled images, too:

{accuracies}

The baseline is the student's network, trained on the labelled images alone: for
as many steps as a student, and with 500 labels for half as many, which is
better ([the search diary](../experiments/cifar10_few_labels.md)). Both students
together take twice as many, which would not help that baseline.

{claims}

## Each run

The interval of an accuracy is Wilson's. The interval of a difference is from
9,999 bootstrap samples of the test images. Both cover 95 % and treat the
trained networks as given. p is of McNemar's exact test against the baseline of
the same labels and seed:

{runs}

One experiment alone is run by

    python -m experiments.few_labels --experiments=NAME --seeds=1

`savedmodels/cifar10_few_labels_student` is `soft2_50` of seed 0. The settings,
and how they were chosen: `configs/cifar10_few_labels.py` and
[the search diary](../experiments/cifar10_few_labels.md).

## Provenance of the figures

{provenance}
"""


def write(lines, path):
    """Writes the document.

    Args:
        lines: list of dicts, as in `results/few_labels.jsonl`.
        path: path of the file.
    """
    results = collections.defaultdict(list)
    for line in sorted(lines, key=lambda line: line["seed"]):
        results[line["experiment"]].append(line)
    text = _TEXT.format(
        mark=files.MARK,
        by=BY,
        views=_RECIPE.VIEWS,
        parameters=_parameters(results),
        accuracies=_accuracies(results),
        claims=_claims(results),
        runs=_runs(results),
        provenance=provenance.markdown(lines),
    )
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_output(path, text, by=BY)


def _parameters(results):
    counts = {line["parameters"] for line in results["soft_50"]}
    return " or ".join(f"{count:,}" for count in sorted(counts)) or "0.3 M"


def _accuracies(results):
    """The table of kinds by numbers of labels."""
    header = ["", *(f"{_total(labels):,} labels" for labels in _COUNTS)]
    rows = [
        [kind.title, *(_accuracy(results, name, labels) for labels in _COUNTS)]
        for name, kind in catalogue.KINDS.items()
        if f"{name}_50" in catalogue.EXPERIMENTS
    ]
    return tables.markdown([header, *rows])


def _total(labels):
    return _CLASSES * (_COUNTS[labels] or _TRAIN_PER_CLASS)


def _accuracy(results, kind, labels):
    name = f"{kind}_{labels}"
    if name not in catalogue.EXPERIMENTS:
        return "-"
    values = _values(results, name)
    if not values:
        return "not run yet"
    text = f"{estimates.spread([100 * x for x in values], '.2f')} %"
    return text if len(values) > 1 else f"{text} (one seed)"


def _values(results, name):
    return [line["accuracy"] for line in results[name]]


def _claims(results):
    """Compares the students with the bounds that were set before the runs."""
    claims = f"{_claim_50(results)}\n{_claim_500(results)}"
    return f"Asked for before the runs: {claims}"


def _claim_50(results):
    """One sentence for each student from 50 labels of each class."""
    asked = (
        f"a student of 500 labels has {_ACCURACY:.0%} and is "
        f"{100 * _GAIN:.0f} points above its baseline. "
    )
    return asked + " ".join(
        _gain_of(results, f"{kind}_50", name) for kind, name in _STUDENTS
    )


def _gain_of(results, experiment, name):
    student, baseline = (
        {line["seed"]: line["accuracy"] for line in results[name]}
        for name in (experiment, "baseline_50")
    )
    seeds = sorted(student.keys() & baseline.keys())
    if not seeds:
        return f"{name} was not run yet."
    accuracy = np.mean([student[seed] for seed in seeds])
    gain = accuracy - np.mean([baseline[seed] for seed in seeds])
    met = accuracy >= _ACCURACY and gain >= _GAIN
    return (
        f"{name} has {accuracy:.2%} and is {100 * gain:.2f} points above: "
        f"{_met(met)}"
    )


def _claim_500(results):
    text = (
        "The student of 5,000 labels is above its baseline beyond chance in "
        f"each run (p < {_CHANCE}). "
    )
    compared = [line["against_baseline"] for line in results["soft_500"]]
    if not compared:
        return f"{text}It was not run yet."
    gains = [100 * comparison["difference"] for comparison in compared]
    largest = max(comparison["p_value"] for comparison in compared)
    met = min(gains) > 0 and largest < _CHANCE
    return (
        f"{text}It is {np.mean(gains):.2f} points above, with p "
        f"{_at_most(largest)}: {_met(met)}"
    )


def _at_most(p_value):
    text = _p_value(p_value)
    return text if text.startswith("<") else f"<= {text}"


def _met(met):
    return "met." if met else "not met."


def _runs(results):
    """The table of all runs."""
    rows = [
        [
            "NAME",
            "seed",
            "errors",
            "accuracy",
            "interval",
            "above the baseline",
            "p",
            "seconds",
        ]
    ]
    for name in catalogue.EXPERIMENTS:
        for line in results[name]:
            rows.append(_run(name, line))
    return tables.markdown(rows)


def _run(name, line):
    cells = [f"`{name}`", str(line["seed"])]
    if "errors" in line:
        low, high = line["accuracy_interval"]
        cells += [
            f"{line['errors']:,}",
            f"{line['accuracy']:.2%}",
            f"{low:.2%} to {high:.2%}",
        ]
    else:
        cells += ["-"] * 3
    comparison = line.get("against_baseline")
    if comparison:
        low, high = (100 * x for x in comparison["difference_interval"])
        difference = 100 * comparison["difference"]
        cells += [
            f"{difference:+.2f} points ({low:+.2f} to {high:+.2f})",
            _p_value(comparison["p_value"]),
        ]
    else:
        cells += ["-"] * 2
    return [*cells, f"{line['seconds']:.0f}"]


def _p_value(value):
    return "< 1e-12" if value < 1e-12 else f"{value:.2g}"

"""The document of the paper's experiments, made of the lines of results.

Every figure of ours in it is computed here from `results/paper.jsonl`.
"""

import io
import pathlib

import matplotlib
import matplotlib.figure
import numpy as np
import scipy.stats

from experiments.paper import lab as paper_lab
from kd_keras.utils import files

_NOT_MEASURED = "not measured"
_ALONG_THE_WAY = (0.05, 0.1, 0.25, 0.5, 1.0)
# The paper's claims about temperature: where it is alike, where it is best.
_ALIKE = (8.0, 20.0, 40.0)
_BEST = (2.5, 4.0)
_NARROW = 30

_HEAD = """\
<!-- written by kd_keras -->

# The paper's experiments

Hinton, Vinyals and Dean, 2015,
[arXiv:1503.02531](https://arxiv.org/abs/1503.02531). This file is made by
`python -m experiments.paper` from `results/paper.jsonl`; no figure of ours is
put in by hand. One experiment alone:

    python -m experiments.paper --experiments=NAME

Figures are errors of the 10,000 test pictures unless they say otherwise: mean
± standard deviation of n seeds; agreement is the share of test pictures of
which the student says what its teacher says. The test set is read once a run.
The configurations, in `configs/paper_mnist.py` and `configs/paper_cifar10.py`,
tell how hyperparameters were chosen. Seconds are of training alone, with other
work beside it.
"""
_MNIST = """
## MNIST

{table}

95 % intervals of means over seeds; that the test set is a sample of digits, a
standard error of about 8 errors in 70, is not in them:

{intervals}

What differs from the paper, or is not said there: optimizer (AdamW without
decay of weights, cosine schedule), epochs, max-norm, rates of dropout and the
weight of the labels are ours, in the configuration. All students learn from the
teacher of seed 0. The transfer set is jittered only where the row says so:
students learn what the teacher says of it nearly by heart, and where it is
jittered they say what the teacher says of more test pictures as well.

Biases fitted without labels: the mean prediction for the class (or for each of
the classes) over all 60,000 training pictures is made 1/10 by a shift of its
bias (`kd_keras.distillation.class_bias`). That takes pictures of every digit,
none of their labels, and the assumption that all digits are equally frequent;
over the transfer set itself, which lacks them, the mean would have to be
another. The paper's shift, one for both classes where there are two, is chosen
by the test labels, and so are the rows that say so: they are a bound, not a
measurement.
"""
_GRID = """
## Width and temperature

Students of two layers of so many units, soft targets alone, 30 epochs. Seeds a
cell: {seeds}. Mean ± half of the 95 % interval of the mean, from the standard
deviation that all temperatures of a width share; one seed has no interval.

{table}

{verdicts}
"""
_MATCHING = """
## Temperature to infinity is logit matching

The same student (2 x 800, seed 0) from T^2 KL at high temperatures, and from
matching logits of mean 0 (the paper's equation 4). Gradient: norm of the
difference from logit matching's over its norm, by the logits of the untrained
student on 500 training pictures.

{table}
"""
_ENSEMBLE = """
## An ensemble into one network

CIFAR-10, all of one architecture (airbench, 32/64/128) and the same 10,000
pictures, of which a member has 99.5 to 99.7 % right at the end. The paper's
figures are its speech system's, on data of its own. The ensemble labels 40
views of each picture once; the distilled networks see no label, and learn four
times the members' epochs. `docs/experiments/paper_cifar10.md` has the search,
what is kept of the gain on 40,000 further pictures, where it is less than on
the test set, and two earlier forms that were given up.

{table}

{gains}
"""
_THREE_PERCENT = """
## Soft targets as regularisers: 3 % of the data

MNIST: 1,800 of 50,000 training pictures, 10,000 others for validation;
CIFAR-10: 1,500 of 45,000 and 5,000. The teacher has been trained on all
pictures, validation included, so that only the validation of the students on
labels is clean; it stops them. Stopped early means trained anew, at the same
constant learning rate, to the epoch of the best validation: the same bits as
the beginning of the run to the end. The paper's figures are its speech
system's; all of its data, labels: 63.4 % train, 58.9 % test. CIFAR-10's
teacher is `savedmodels/cifar10_teacher` at the commit of a result. Its last row
is not the paper's: half of the student's views are of two pictures, one pasted
into the other (CutMix), which have no label but for the teacher.

{table}

Along the way, at shares of the epochs, mean over the seeds: accuracy on the
validation pictures, which stands for that on the test set, read once; and on
the training pictures as an epoch shows them, where a student without labels has
its agreement with the teacher instead:

{curves}
"""
_SPECIALISTS = """
## Specialists

CIFAR-10: the generalist is `savedmodels/cifar10_teacher`; specialists and
students, which see no label, are those of `configs/cifar10_specialists.py`. The
paper's figure is of 61 specialists on a set of 15,000 classes.

{cifar10}

Twenty classes, those of MNIST and of Fashion-MNIST, real pictures of 28 x 28
all; errors are of 20,000. Generalist, specialists and students, which see no
label, are of one architecture; `configs/paper_twenty.py` has them.

{twenty}
"""
_COVERING = """\
{table}

Test accuracy by how many specialists cover the true class, seed 0, as the
paper's tables 3 and 4:

{covering}"""


def write(lines, folder):
    """Writes `paper.md`, and `paper_grid.svg` once there are its results.

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
    grid = _grid(results)
    if grid:
        plot_grid(grid, folder / "paper_grid.svg")
    files.write_output(folder / "paper.md", document(results, grid))
    return folder / "paper.md"


def document(results, grid):
    """The text of `paper.md`.

    Args:
        results: dict of an experiment's name to its lines.
        grid: dict of units to a dict of temperature to errors.
    """
    counts = [len(e) for cells in grid.values() for e in cells.values()] or [0]
    grid_text = _GRID.format(
        seeds=" to ".join(map(str, sorted({min(counts), max(counts)}))),
        table=grid_table(grid),
        verdicts="\n".join(f"- {text}" for text in verdicts(grid)),
    )
    if grid:
        grid_text += "\n![Errors by temperature](paper_grid.svg)\n"
    return "".join(
        [
            _HEAD,
            _MNIST.format(
                table=_table(results, "mnist"),
                intervals="\n".join(f"- {x}" for x in intervals(results)),
            ),
            grid_text,
            _MATCHING.format(table=_matching_table(results)),
            _ENSEMBLE.format(
                table=_table(results, "ensemble"), gains=_gains(results)
            ),
            _THREE_PERCENT.format(
                table=_subset_table(results), curves=_curves(results)
            ),
            _SPECIALISTS.format(
                cifar10=_covering(results, "specialists", "cifar10"),
                twenty=_covering(results, "twenty", "twenty"),
            ),
            _origins(results),
        ]
    )


def spread(values, form=".1f"):
    """`mean ± standard deviation` of a sample as text; a mean alone of one."""
    mean = format(np.mean(values), form)
    if len(values) == 1:
        return mean
    return f"{mean} ± {np.std(values, ddof=1):{form}}"


def _markdown(head, rows):
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def _of_group(group):
    return [x for x in paper_lab.EXPERIMENTS.values() if x.group == group]


def _values(lines, key):
    return [line[key] for line in lines]


def _table(results, group):
    rows = []
    for experiment in _of_group(group):
        lines = results.get(experiment.name, [])
        rows.append(
            [
                experiment.title,
                f"`{experiment.name}`",
                experiment.paper,
                _errors(experiment, lines),
                _agreement(lines),
                str(len(lines)),
                f"{np.median(_values(lines, 'seconds')):.0f}" if lines else "",
            ]
        )
    head = ["", "NAME", "paper", "ours", "agreement", "n", "seconds a run"]
    return _markdown(head, rows)


def _errors(experiment, lines):
    """Errors as text, with those of the class that the student never saw."""
    if not lines:
        return _NOT_MEASURED
    errors = _values(lines, "errors")
    text = spread(errors)
    if experiment.name.startswith("no_threes"):
        threes = [line["errors_by_class"][3] for line in lines]
        return f"{text}, {spread(threes)} of them threes"
    if np.mean(errors) >= 500:
        share = np.mean(errors) / lines[0]["test_examples"]
        return f"{text} ({share:.2%})"
    return text


def _agreement(lines):
    if lines and all("agreement" in line for line in lines):
        return f"{np.mean(_values(lines, 'agreement')):.2%}"
    return ""


def intervals(results):
    """Where MNIST's means lie beside the paper's count: list of sentences."""
    texts = []
    for experiment in _of_group("mnist"):
        errors = _values(results.get(experiment.name, []), "errors")
        if not experiment.paper.isdigit() or len(errors) < 2:
            continue
        half = scipy.stats.t.ppf(0.975, len(errors) - 1) * scipy.stats.sem(
            errors
        )
        low, high = np.mean(errors) - half, np.mean(errors) + half
        paper = int(experiment.paper)
        place = "in it" if low <= paper <= high else "not in it"
        texts.append(
            f"`{experiment.name}`: {low:.1f} to {high:.1f}; the paper's {paper}"
            f" is {place}."
        )
    return texts or [f"{_NOT_MEASURED}."]


# Width and temperature


def _grid(results):
    grid = {}
    for experiment in _of_group("grid"):
        _, units, temperature = experiment.name.split("_")
        lines = results.get(experiment.name)
        if lines:
            cells = grid.setdefault(int(units), {})
            cells[float(temperature[1:])] = _values(lines, "errors")
    return grid


def half_interval(cells):
    """Half of the 95 % intervals of a width's means, by temperature.

    Args:
        cells: dict of temperature to a list of errors, one a seed.

    Returns:
        Dict of temperature to errors, from a standard deviation that is
        common to all cells; None where no cell has two seeds.
    """
    freedom = sum(len(errors) - 1 for errors in cells.values())
    if not freedom:
        return dict.fromkeys(cells)
    squares = sum(np.var(errors) * len(errors) for errors in cells.values())
    quantile = scipy.stats.t.ppf(0.975, freedom)
    return {
        temperature: quantile * np.sqrt(squares / freedom / len(errors))
        for temperature, errors in cells.items()
    }


def grid_table(grid):
    """The grid as a Markdown table: a row a width, a column a temperature."""
    names = [x.name.split("_") for x in _of_group("grid")]
    widths = dict.fromkeys(int(units) for _, units, _ in names)
    temperatures = dict.fromkeys(float(t[1:]) for _, _, t in names)
    rows = []
    for units in widths:
        cells = grid.get(units, {})
        halves = half_interval(cells)
        row = [f"{units} units"]
        for temperature in temperatures:
            if temperature not in cells:
                row.append(_NOT_MEASURED)
                continue
            text = f"{np.mean(cells[temperature]):.1f}"
            half = halves[temperature]
            row.append(text if half is None else f"{text} ± {half:.1f}")
        rows.append(row)
    return _markdown(["", *(f"T = {t:g}" for t in temperatures)], rows)


def verdicts(grid):
    """What the grid says of the paper's two claims: list of sentences."""
    texts = []
    for units in dict.fromkeys([*grid, 800, 300, _NARROW]):
        cells = grid.get(units, {})
        if len(cells) < len(_temperatures()):
            texts.append(f"{units} units: {_NOT_MEASURED}.")
        elif min(map(len, cells.values())) < 2:
            texts.append(f"{units} units: undecided, with one seed a cell.")
        elif units == _NARROW:
            texts.append(f"{units} units: {_verdict_of_best(cells)}")
        else:
            texts.append(f"{units} units: {_verdict_of_alike(cells)}")
    return texts


def _temperatures():
    return {x.name.split("_")[2] for x in _of_group("grid")}


def _verdict_of_alike(cells):
    chosen = [cells[temperature] for temperature in _ALIKE]
    p = scipy.stats.f_oneway(*chosen).pvalue
    means = [np.mean(errors) for errors in chosen]
    found = (
        "Confirmed, as far as these runs can tell" if p > 0.05 else "Refuted"
    )
    return (
        f"the paper finds T of 8 and more alike. {found}: the means at "
        f"T = 8, 20 and 40 differ by {max(means) - min(means):.1f} errors at "
        f"most (analysis of variance, p = {p:.2g})."
    )


def _verdict_of_best(cells):
    best = np.concatenate([cells[t] for t in _BEST])
    rest = np.concatenate([e for t, e in cells.items() if t not in _BEST])
    test = scipy.stats.ttest_ind(best, rest, equal_var=False)
    low, high = test.confidence_interval(0.95)
    found = "Not decided"
    if high < 0:
        found = "Confirmed"
    elif low > 0:
        found = "Refuted"
    return (
        f"the paper finds T of 2.5 to 4 best. {found}: they make "
        f"{np.mean(best) - np.mean(rest):+.1f} errors against the other "
        f"temperatures (95 % interval {low:+.1f} to {high:+.1f})."
    )


def plot_grid(grid, path):
    """Draws errors by temperature, a line a width, as SVG."""
    figure = matplotlib.figure.Figure(figsize=(6.4, 4), layout="tight")
    axes = figure.subplots()
    for units, cells in grid.items():
        halves = half_interval(cells)
        temperatures = sorted(cells)
        axes.errorbar(
            temperatures,
            [np.mean(cells[t]) for t in temperatures],
            yerr=[halves[t] or 0 for t in temperatures],
            marker="o",
            capsize=3,
            label=f"2 x {units} units",
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="temperature",
        ylabel="errors of 10,000 test digits",
    )
    axes.set_xticks(temperatures, [f"{t:g}" for t in temperatures])
    low, high = axes.get_ylim()
    ticks = [t for t in (50, 75, 100, 150, 200, 300, 400) if low < t < high]
    axes.set_yticks(ticks, list(map(str, ticks)))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    # Without a date and with a salt, the same results are the same file.
    drawing = io.StringIO()
    metadata = {"Date": None, "Creator": files.MARK}
    with matplotlib.rc_context({"svg.hashsalt": "paper"}):
        figure.savefig(drawing, format="svg", metadata=metadata)
    files.write_output(path, drawing.getvalue())


# The other sections


def _matching_table(results):
    rows = []
    for experiment in _of_group("matching"):
        lines = results.get(experiment.name, [])
        cells = [_NOT_MEASURED, "", ""]
        if lines:
            cells = [spread(_values(lines, "errors"), ".0f"), "", ""]
        if lines and "gradient_gap" in lines[0]:
            agreement = np.mean(_values(lines, "agreement_with_matching"))
            gap = np.mean(_values(lines, "gradient_gap"))
            cells[1:] = [f"{agreement:.2%}", f"{gap:.2g}"]
        rows.append([experiment.title, f"`{experiment.name}`", *cells])
    head = ["", "NAME", "errors", "agreement of the students", "gradient"]
    return _markdown(head, rows)


def gain_kept(single, ensemble, distilled):
    """Share of an ensemble's gain over one network that distilled ones keep.

    Args:
        single: list of errors of networks on labels.
        ensemble: errors of the ensemble.
        distilled: list of errors of distilled networks, two or more.

    Returns:
        `(share, low, high)`: the 95 % interval is that of both means, the
        ensemble being what it is.
    """
    gain = np.mean(single) - ensemble
    share = (np.mean(single) - np.mean(distilled)) / gain
    # First order: by the mean of the single ones, and of the distilled.
    by_single = (1 - share) / gain
    parts = [
        (by_single**2 * np.var(single, ddof=1) / len(single), len(single)),
        (np.var(distilled, ddof=1) / gain**2 / len(distilled), len(distilled)),
    ]
    variance = sum(part for part, _ in parts)
    # Welch and Satterthwaite's degrees of freedom.
    freedom = variance**2 / sum(p**2 / (n - 1) for p, n in parts)
    half = scipy.stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    return share, share - half, share + half


def _gains(results):
    texts = ["The paper keeps 86 % of the ensemble's gain in frames."]
    for mean in ("arithmetic", "geometric"):
        single, ensemble, distilled = (
            _values(results.get(name, []), "errors")
            for name in (
                "member",
                f"ensemble_{mean}_itself",
                f"ensemble_{mean}",
            )
        )
        kept = _NOT_MEASURED
        if len(single) > 1 and ensemble and len(distilled) > 1:
            share, low, high = gain_kept(single, ensemble[0], distilled)
            kept = f"{share:.0%} (95 % interval {low:.0%} to {high:.0%})"
        texts.append(f"Gain kept, {mean} mean: {kept}.")
    return "\n".join(f"- {text}" for text in texts)


def _subset_table(results):
    rows = []
    for experiment in _of_group("three_percent"):
        lines = results.get(experiment.name, [])
        cells = [_NOT_MEASURED, "", ""]
        if lines:
            train, test = (
                [1 - x[errors] / x[f"{part}_examples"] for x in lines]
                for part, errors in (
                    ("train", "train_errors"),
                    ("test", "errors"),
                )
            )
            epochs = spread(_values(lines, "epochs"), ".0f")
            cells = [spread(train, ".2%"), spread(test, ".2%"), epochs]
        rows.append(
            [
                experiment.title,
                f"`{experiment.name}`",
                experiment.paper,
                *cells,
                str(len(lines)),
            ]
        )
    return _markdown(
        ["", "NAME", "paper", "train accuracy", "test accuracy", "epochs", "n"],
        rows,
    )


def _curves(results):
    rows = []
    for experiment in _of_group("three_percent"):
        # One that is stopped early is the beginning of another.
        if "early" in experiment.name:
            continue
        lines = results.get(experiment.name, [])
        for part, key in (
            ("train", "train_curve"),
            ("validation", "validation_accuracies"),
        ):
            cells = [_NOT_MEASURED] * len(_ALONG_THE_WAY)
            if lines:
                curve = np.mean(_values(lines, key), axis=0)
                cells = [
                    f"{curve[max(1, round(share * len(curve))) - 1]:.2%}"
                    for share in _ALONG_THE_WAY
                ]
            rows.append([experiment.title, part, *cells])
    return _markdown(["", "", *(f"{x:.0%}" for x in _ALONG_THE_WAY)], rows)


def _covering(results, group, prefix):
    """A group's table, and its specialists' by how many cover the class."""
    lines = results.get(f"{prefix}_specialists", [])
    return _COVERING.format(
        table=_table(results, group),
        covering=_covering_table(lines[0]["by_covering"])
        if lines
        else f"{_NOT_MEASURED.capitalize()}.",
    )


def _covering_table(rows):
    keys = ("examples", "generalist_correct", "correct")
    groups = [
        (str(row["covering"]), [row[key] for key in keys]) for row in rows
    ]
    groups.append(("all", np.sum([counts for _, counts in groups], axis=0)))
    cells = [
        [
            covering,
            str(examples),
            f"{before / examples:.2%}",
            f"{after / examples:.2%}",
            f"{after - before:+d}",
        ]
        for covering, (examples, before, after) in groups
    ]
    head = ["specialists", "examples", "generalist", "together", "more right"]
    return _markdown(head, cells)


def _origins(results):
    # All was float32 before the lines said it.
    lines = [
        {"precision": "float32", **line}
        for lines in results.values()
        for line in lines
    ]

    def listed(key):
        return ", ".join(sorted({str(line[key]) for line in lines})) or "none"

    hours = sum(line["seconds"] for line in lines) / 3600
    return (
        f"\n## Where the figures come from\n\n{len(lines)} results, "
        f"{hours:.1f} hours of training.\nHardware: {listed('hardware')}.\n"
        f"Trained in: {listed('precision')}.\n"
        f"Commits: {listed('commit')}.\n"
    )

"""Width and temperature: a grid of students, and the paper's two claims."""

import numpy as np
import scipy.stats

from experiments.paper import estimates
from experiments.paper.sections import rows
from kd_keras.utils import tables

# The paper's claims: temperatures that are alike, and the best ones of the
# narrow student.
_ALIKE = (8.0, 20.0, 40.0)
_BEST = (2.5, 4.0)
_NARROW = 30
_TEXT = """
## Width and temperature

Students with two layers of the given number of units, soft targets alone, 30
epochs. Seeds per cell: {seeds}. Mean ± half of its 95 % interval, from a
standard deviation that all temperatures of a width share; one seed has no
interval.

{table}

{verdicts}
"""


def text(results):
    """The section as Markdown."""
    grid = errors_by_cell(results)
    counts = {len(e) for cells in grid.values() for e in cells.values()} or {0}
    section = _TEXT.format(
        seeds=" to ".join(map(str, sorted({min(counts), max(counts)}))),
        table=_table(grid),
        verdicts=rows.bullets(_verdicts(grid)),
    )
    if grid:
        section += "\n![Errors by temperature](paper_grid.svg)\n"
    return section


def errors_by_cell(results):
    """The grid: dict of units to a dict of temperature to a list of errors."""
    grid = {}
    for experiment in rows.of_group("grid"):
        units, temperature = _cell(experiment)
        lines = results.get(experiment.name)
        if lines:
            cells = grid.setdefault(units, {})
            cells[temperature] = rows.values(lines, "errors")
    return grid


def _cell(experiment):
    """Units and temperature of an experiment: `grid_300_T2.5`."""
    _, units, temperature = experiment.name.split("_")
    return int(units), float(temperature.removeprefix("T"))


def _table(grid):
    """A row for each width, a column for each temperature."""
    cells = [_cell(x) for x in rows.of_group("grid")]
    widths, temperatures = (dict.fromkeys(axis) for axis in zip(*cells))
    lines = [["", *(f"T = {t:g}" for t in temperatures)]]
    for units in widths:
        errors = grid.get(units, {})
        halves = estimates.half_intervals(errors)
        line = [f"{units} units"]
        for temperature in temperatures:
            if temperature not in errors:
                line.append(rows.NOT_MEASURED)
                continue
            mean = f"{np.mean(errors[temperature]):.1f}"
            half = halves[temperature]
            line.append(mean if half is None else f"{mean} ± {half:.1f}")
        lines.append(line)
    return tables.markdown(lines)


def _verdicts(grid):
    """Tests the paper's two claims on each width: list of sentences."""
    temperatures = {_cell(x)[1] for x in rows.of_group("grid")}
    sentences = []
    for units in dict.fromkeys([*grid, 800, 300, _NARROW]):
        cells = grid.get(units, {})
        if len(cells) < len(temperatures):
            verdict = f"{rows.NOT_MEASURED}."
        elif min(map(len, cells.values())) < 2:
            verdict = "undecided, with one seed per cell."
        elif units == _NARROW:
            verdict = _best_verdict(cells)
        else:
            verdict = _alike_verdict(cells)
        sentences.append(f"{units} units: {verdict}")
    return sentences


def _alike_verdict(cells):
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


def _best_verdict(cells):
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
        f"the paper finds T of 2.5 to 4 best. {found}: the difference from the "
        f"other temperatures is {np.mean(best) - np.mean(rest):+.1f} errors "
        f"(95 % interval {low:+.1f} to {high:+.1f})."
    )

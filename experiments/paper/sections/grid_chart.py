"""The chart of errors by temperature, as an SVG file."""

import io

import matplotlib
import matplotlib.figure
import numpy as np

from experiments.paper import estimates
from kd_keras.utils import files


def write(grid, path):
    """Draws errors by temperature, a line for each width, as an SVG file.

    Args:
        grid: dict of units to a dict of temperature to a list of errors.
        path: path of the file.
    """
    figure = matplotlib.figure.Figure(figsize=(6.4, 4), layout="tight")
    axes = figure.subplots()
    for units, cells in grid.items():
        halves = estimates.half_intervals(cells)
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
    files.write_output(path, _svg(figure), by="paper")


def _svg(figure):
    # Without a date and with a salt, equal results give an equal file.
    drawing = io.StringIO()
    metadata = {"Date": None, "Creator": f"{files.MARK} paper"}
    with matplotlib.rc_context({"svg.hashsalt": "paper"}):
        figure.savefig(drawing, format="svg", metadata=metadata)
    return drawing.getvalue()

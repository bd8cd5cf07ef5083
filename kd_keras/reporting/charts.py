"""Charts of the report, as SVG with the colours of the page."""

import html
import io
import re

from kd_keras.utils import packages

# Colours that matplotlib writes, and the style sheet's that replace them.
_COLOURS = {
    "#010101": "currentColor",
    "#020202": "var(--rule)",
    "#030303": "var(--teacher)",
    "#040404": "var(--student)",
    "#050505": "var(--baseline)",
}
_TEXT, _RULE, _TEACHER, _STUDENT, _BASELINE = _COLOURS
# Each role has its own marker and dashes, for readers who see no colours.
_ROLES = {
    "teacher": {"color": _TEACHER, "marker": "s", "linestyle": "--"},
    "student": {"color": _STUDENT, "marker": "o", "linestyle": "-"},
    "baseline": {"color": _BASELINE, "marker": "^", "linestyle": ":"},
}
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": _RULE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _RULE,
    "grid.linewidth": 0.6,
    "xtick.color": _RULE,
    "ytick.color": _RULE,
    "xtick.labelcolor": _TEXT,
    "ytick.labelcolor": _TEXT,
    "legend.frameon": False,
}
# Inches: at 400 pixels the text is still about as large as the page's.
_SIZE = (4.6, 3.2)


def learning_curves(curves, *, x_label, y_label, title, mark=None):
    """Draws accuracy by epoch or by seconds of training.

    Args:
        curves: dict of roles to `(x, y)` lists.
        x_label, y_label: str.
        title: str, the alternative text.
        mark: float, an accuracy; shows where each curve first reaches it.

    Returns:
        str, an `svg` element.

    Raises:
        ValueError: if matplotlib is not installed.
    """

    def draw(axes):
        for role, (x, y) in curves.items():
            axes.plot(x, y, label=role, markersize=4.5, **_ROLES[role])
        if mark is not None:
            axes.axhline(
                mark, color=_TEXT, linewidth=0.9, linestyle=(0, (4, 3))
            )
            axes.annotate(
                f"{mark:.0%}",
                (0, mark),
                xycoords=("axes fraction", "data"),
                xytext=(4, 3),
                textcoords="offset points",
            )
            for role, (x, y) in curves.items():
                _mark_first(axes, x, y, mark, _ROLES[role]["color"])
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.set_xlim(left=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0
        )

    return _svg(draw, title)


def first_past(x, y, mark):
    """The first x whose y is at least the mark, or None."""
    return next((a for a, b in zip(x, y) if b >= mark), None)


def reliability(measured, *, title):
    """Draws a reliability diagram: accuracy by confidence.

    Args:
        measured: dict of roles to the results of `metrics.measure`.
        title: str, the alternative text.

    Returns:
        str, an `svg` element; a mark's area grows with its examples.

    Raises:
        ValueError: if matplotlib is not installed.
    """

    def draw(axes):
        axes.plot([0, 1], [0, 1], color=_TEXT, linewidth=0.9, linestyle="--")
        for role, values in measured.items():
            bins, look = values["calibration"], _ROLES[role]
            x = [row["confidence"] for row in bins]
            y = [row["accuracy"] for row in bins]
            shares = [row["count"] / values["examples"] for row in bins]
            axes.plot(x, y, color=look["color"], linewidth=1.3)
            axes.scatter(
                x,
                y,
                s=[14 + 130 * share for share in shares],
                color=look["color"],
                marker=look["marker"],
                label=f"{role}, ECE {values['ece']:.1%}",
            )
        axes.set(xlabel="confidence", ylabel="accuracy")
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.yaxis.set_major_formatter("{x:.0%}")
        handles = axes.legend(loc="upper left").legend_handles
        for handle in handles:
            handle.set_sizes([30])

    return _svg(draw, title)


def _mark_first(axes, x, y, mark, color):
    first = first_past(x, y, mark)
    if first is not None:
        bottom = axes.get_ylim()[0]
        axes.vlines(first, bottom, mark, color=color, linewidth=1.2)
        axes.set_ylim(bottom=bottom)


def _svg(draw, title):
    matplotlib = packages.optional("matplotlib", extra="report")
    figure_module = packages.optional("matplotlib.figure", extra="report")
    # The salt makes the names of clipping paths differ between charts.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = figure_module.Figure(figsize=_SIZE, layout="constrained")
        draw(figure.subplots())
        file = io.StringIO()
        figure.savefig(
            file,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None},
        )
    return _for_the_page(file.getvalue(), title)


def _for_the_page(text, title):
    """Removes the size, font and names of an SVG, and replaces its colours."""
    text = text[text.index("<svg") :]
    for colour, name in _COLOURS.items():
        text = text.replace(colour, name)
    for pattern in (
        r"<metadata>.*?</metadata>",
        r"<style.*?</style>",
        r"font-family: [^;]*; ",
        r"(?<=<g) id=\"[^\"]*\"",
    ):
        text = re.sub(pattern, "", text, flags=re.S)
    box = re.search(r'viewBox="[^"]*"', text)[0]
    head = f'<svg {box} role="img" aria-label="{html.escape(title)}">'
    return re.sub("<svg[^>]*>", lambda match: head, text, count=1)

"""Renders the report as one HTML page."""

import pathlib

from kd_keras.evaluation import metrics
from kd_keras.reporting import charts, confusion, curves, images, script_data
from kd_keras.utils import packages


def check_packages():
    """Raises a ValueError if a package of the extra is not installed."""
    for module in ("jinja2", "matplotlib"):
        packages.optional(module, extra="report")


def render(report, *, served=False):
    """Renders the page.

    Args:
        report: dict of `gathering.gather`.
        served: bool; True where `server` serves the browser's runtime, too.

    Returns:
        str, HTML that needs no other file, except for the try-it panel.

    Raises:
        ValueError: if jinja2 or matplotlib is not installed.
    """
    rows = [_with_interval(row) for row in report["models"]]
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            rows=rows,
            scale=_scale(rows),
            served=served,
            curves=curves.learning_curves(report),
            reliability=charts.reliability(
                report["measured"],
                title="Reliability diagram: accuracy by confidence",
            ),
            matrices=confusion.matrices(report),
            disagreements=images.disagreements(report),
            script_data=script_data.script_data(report),
        )
    )


def _environment():
    jinja2 = packages.optional("jinja2", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(
            pathlib.Path(__file__).parent / "templates"
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = lambda value: f"{value:,}"
    environment.filters["percent"] = lambda value: f"{100 * value:.2f}\xa0%"
    environment.filters["size"] = _size
    environment.filters["big"] = _big
    return environment


def _size(value):
    """Bytes as text: `1.25 MB`."""
    for unit, bytes_each in (("MB", 1e6), ("kB", 1e3)):
        if value >= bytes_each:
            return f"{value / bytes_each:,.2f}\xa0{unit}"
    return f"{value}\xa0B"


def _big(value):
    """A large count as text: `1.2 M`."""
    for unit, each in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= each:
            return f"{value / each:.1f}\xa0{unit}"
    return str(value)


def _with_interval(row):
    """A row with its accuracy and the accuracy's 95 % interval, if known."""
    if row["errors"] is None:
        return row
    correct = row["examples"] - row["errors"]
    low, high = metrics.proportion_interval(correct, row["examples"])
    accuracy = correct / row["examples"]
    return row | {"accuracy": accuracy, "low": low, "high": high}


def _scale(rows):
    """The range that the intervals are drawn on."""
    known = [row for row in rows if row["errors"] is not None]
    low, high = min(r["low"] for r in known), max(r["high"] for r in known)
    return {"low": low, "width": max(high - low, 1e-9)}

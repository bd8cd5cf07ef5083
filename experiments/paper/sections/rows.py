"""Tables and cells that several sections share."""

import numpy as np

from experiments.paper import catalogue, estimates
from kd_keras.utils import tables

NOT_MEASURED = "not measured"


def of_group(group):
    """The experiments of a group: list, in the catalogue's order."""
    return [x for x in catalogue.EXPERIMENTS.values() if x.group == group]


def values(lines, key):
    """One value of each line: list."""
    return [line[key] for line in lines]


def bullets(sentences):
    """A Markdown list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def table(results, group):
    """A group's experiments as a Markdown table, a row each."""
    rows = [["", "NAME", "paper", "ours", "agreement", "n", "seconds a run"]]
    for experiment in of_group(group):
        lines = results.get(experiment.name, [])
        seconds = f"{np.median(values(lines, 'seconds')):.0f}" if lines else ""
        rows.append(
            [
                experiment.title,
                f"`{experiment.name}`",
                experiment.paper,
                _errors(experiment, lines),
                _agreement(lines),
                str(len(lines)),
                seconds,
            ]
        )
    return tables.markdown(rows)


def _errors(experiment, lines):
    """Errors as text, with their share if many, or the errors on threes."""
    if not lines:
        return NOT_MEASURED
    errors = values(lines, "errors")
    text = estimates.spread(errors)
    if experiment.name.startswith("no_threes"):
        threes = [line["errors_by_class"][3] for line in lines]
        return f"{text}, {estimates.spread(threes)} of them threes"
    if np.mean(errors) >= 500:
        share = np.mean(errors) / lines[0]["test_examples"]
        return f"{text} ({share:.2%})"
    return text


def _agreement(lines):
    if lines and all("agreement" in line for line in lines):
        return f"{np.mean(values(lines, 'agreement')):.2%}"
    return ""

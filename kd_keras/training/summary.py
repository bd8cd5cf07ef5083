"""Formats the reports of the stages as text."""

import os
import sys

from kd_keras.utils import tables

# A difference with a smaller p-value of McNemar's test is beyond chance.
_SIGNIFICANT = 0.01


def summary(reports, *, name, workdir, savedmodels):
    """A table of the stages, and the paths of their results.

    Args:
        reports: list of dicts, as `runs.run` returns them.
        name: str, `config.name`.
        workdir, savedmodels: paths, as given to `runs.run`.

    Returns:
        str, several lines.
    """
    exported = os.path.join(savedmodels, _shown_model(reports, name))
    return "\n".join(
        [
            "",
            _stages_table(reports),
            *_comparison(reports),
            *_coverage_tables(reports[-1]),
            "",
            *_usage(reports, exported),
            f"TensorBoard logs {workdir}/<stage>/tensorboard",
            f"  {_python()} -m tensorboard.main --logdir {workdir}",
        ]
    )


def _usage(reports, exported):
    """Lines that show the use of the exported model."""
    if "probe" in reports[-1]:
        # Its backbone may be of another runtime, outside of the directory.
        return [
            f"Probe teacher    {exported}",
            f"  teacher = kd_keras.load_teacher({exported!r})",
        ]
    return [
        f"SavedModel       {exported}",
        "  import tensorflow as tf",
        f"  model = tf.saved_model.load({exported!r})",
        "  model.signatures['serving_default'](images=uint8_images)"
        f"[{_output(reports)!r}]",
    ]


def _output(reports):
    """The output of the model that the example loads."""
    of_features = [report.get("outputs") for report in reports]
    return "features" if "features" in of_features else "logits"


def _shown_model(reports, name):
    """The exported model that the example loads: a student if there is one."""
    stages = [report["stage"] for report in reports]
    if "student" in stages:
        return f"{name}_student"
    return reports[-1].get("model", f"{name}_{stages[-1]}")


def _stages_table(reports):
    rows = [
        ["", "parameters", "MACs", "test errors", "agreement", "seconds"],
    ]
    # A teacher that was given has no report of its own.
    if reports[0].get("teacher_errors") is not None:
        errors = _errors(reports[0], "teacher_errors")
        rows.append(["teacher", "-", "-", errors, "-", "-"])
    for report in reports:
        rows.append(
            [
                report["stage"],
                f"{report['parameters']:,}",
                _cell(report["macs"], ","),
                _errors(report, "test_errors"),
                _cell(report.get("agreement"), ".2%"),
                f"{report['seconds']:.0f}",
            ]
        )
    return tables.aligned(rows)


def _errors(report, key):
    errors = _cell(report[key], ",")
    if report["test_examples"]:
        errors += f" of {report['test_examples']:,}"
    return errors


def _comparison(reports):
    """The sentence about student and baseline; empty without both."""
    return [
        f"\n{_against_baseline(report['against_baseline'])}"
        for report in reports
        if "against_baseline" in report
    ]


def _against_baseline(compared):
    """Tells who makes fewer errors, and whether that is beyond chance.

    Args:
        compared: dict, as `against_baseline.entries` returns it.

    Returns:
        str.
    """
    gain = compared["only_right"] - compared["only_other_right"]
    p_value = compared["p_value"]
    beyond = "beyond chance" if p_value < _SIGNIFICANT else "not beyond chance"
    taught_by = ""
    if "teacher" in compared:
        taught_by = f"; its teacher had {_trained_on(compared['teacher'])}"
    return (
        f"The student ({_trained_on(compared['student'])}{taught_by}) makes "
        f"{_difference(gain)} the baseline (the same network, "
        f"{_trained_on(compared['baseline'])}): {beyond} "
        f"(McNemar's test, p = {p_value:.2g})."
    )


def _trained_on(trained):
    labels = "with" if trained["labelled"] else "without"
    return f"{trained['examples']:,} images {labels} labels"


def _difference(gain):
    if not gain:
        return "as many errors as"
    plural = "" if abs(gain) == 1 else "s"
    return f"{abs(gain):,} error{plural} {'fewer' if gain > 0 else 'more'} than"


def _coverage_tables(report):
    """Lines of the paper's tables 3 and 4; empty for other stages."""
    if "by_coverage" not in report:
        return []
    lines = ["", f"specialists of classes {report['class_sets']}"]
    for part, rows in report["by_coverage"].items():
        lines += ["", coverage_table(part, rows)]
    return lines


def coverage_table(part, rows):
    """The accuracy with and without specialists, by coverage.

    Args:
        part: str, `validation` or `test`.
        rows: list of dicts; see `specialists.accuracy_by_coverage`.

    Returns:
        str, a line for each row, and one for all examples.
    """
    total = {key: sum(row[key] for row in rows) for key in rows[0]}
    cells = [
        [
            f"{part}, specialists of the true class",
            "examples",
            "generalist",
            "together",
            "change",
        ]
    ]
    for row in [*rows, {**total, "covering": "all"}]:
        count = row["examples"]
        before, after = row["generalist_correct"], row["correct"]
        cells.append(
            [
                str(row["covering"]),
                f"{count:,}",
                f"{before / count:.2%}",
                f"{after / count:.2%}",
                f"{after - before:+}",
            ]
        )
    return tables.aligned(cells, left=0)


def _cell(value, form):
    return "-" if value is None else format(value, form)


def _python():
    """The path of this interpreter, relative if it is below the directory."""
    relative = os.path.relpath(sys.executable)
    return sys.executable if relative.startswith("..") else relative

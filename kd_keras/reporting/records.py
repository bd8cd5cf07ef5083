"""Reads the records of runs, exports and timings that the report shows."""

import logging
import pathlib

from kd_keras import config as config_lib
from kd_keras.deployment import export_records
from kd_keras.deployment.formats import FORMATS
from kd_keras.utils import manifests, records

_log = logging.getLogger(__name__)

_REMEDY = "put the run's own file back, or train again with --restart"
_TIMING = {
    "path": str,
    "single_ms": {"median": records.NUMBER, "p95": records.NUMBER},
    "images_per_second": {str: records.NUMBER},
    "peak_memory_mb": records.NUMBER,
}


def configuration(workdir, savedmodels, name):
    """Returns the student's configuration and whether it is recorded.

    Args:
        workdir: path of a directory of runs, or None.
        savedmodels: path of the exported models.
        name: str, or empty for the recorded name. Without a record it also
            names the data set.

    Raises:
        ValueError: if `workdir` does not exist, or neither a record nor a name
            was found.
    """
    if workdir and not workdir.is_dir():
        raise ValueError(
            "--workdir must be a directory of runs. Received: "
            f"{workdir}, which does not exist"
        )
    stages = ("student", "baseline") if workdir else ()
    folders = [workdir / stage for stage in stages]
    if name:
        folders.append(savedmodels / f"{name}_student")
    config = config_lib.default_config()
    paths = [folder / "config.json" for folder in folders]
    path = next((path for path in paths if path.exists()), None)
    if path:
        _update(config, path)
    elif name:
        config.data.name = name
    else:
        raise ValueError(
            "--workdir must be a directory of runs, or --name that of an "
            f"exported student. Received: {workdir or 'neither'}, "
            "without student/config.json"
        )
    if name:
        config.name = name
    return config, path is not None


def _update(config, path):
    """Sets the fields that a run's `config.json` has recorded."""
    what = "a run's configuration"
    record = records.read_json(
        path, {"config": dict}, what=what, remedy=_REMEDY
    )
    manifests.check(
        path.parent, [path.name].__contains__, what=what, remedy=_REMEDY
    )
    try:
        config.update(record["config"])
        config_lib.check_types(config)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise records.damaged(path, error, what=what, remedy=_REMEDY) from error


def exported_files(exports, *, is_given, names, weights):
    """Returns the rows of `exports.json`, each with the `path` of its file.

    Files of other models are left out. The student is known by its weights;
    an older record has none, and then by its name.

    Args:
        exports: path of a directory of `kd_keras.export`.
        is_given: bool; False for a default, which need not exist.
        names: names of the student's model files.
        weights: str, the `fingerprint` of the student, or None without one.

    Raises:
        ValueError: if `exports` was given and has no `exports.json`, or holds
            files of other models alone; or if a file is missing.
    """
    path = pathlib.Path(exports) / "exports.json"
    if not path.exists():
        if is_given:
            raise ValueError(
                "--exports must be a directory of kd_keras.export. Received: "
                f"{exports}, without exports.json"
            )
        return []
    rows = export_records.read(path.parent)
    recorded = {
        row["model"]: row.get("weights_sha256")
        for row in rows
        if row["format"] == "model"
    }
    rows = [row for row in rows if row["format"] != "model"]

    def is_of_student(row):
        model = row["model"]
        if recorded.get(model) and weights:
            return recorded[model] == weights
        return model is None or pathlib.PurePath(model).name in names

    of_student = list(filter(is_of_student, rows))
    if rows and not of_student:
        _report_others(path.parent, rows, is_given=is_given)
    return [_exported(path, row) for row in of_student]


def _report_others(directory, rows, *, is_given):
    """Raises an error, or logs, that exports are of other models alone."""
    models = ", ".join(sorted({str(row["model"]) for row in rows}))
    found = f"{directory} with files of {models}"
    if is_given:
        raise ValueError(
            "--exports must hold files of a model with the student's weights: "
            f"run kd-keras export with the student. Received: {found}"
        )
    _log.warning("exports: left out %s, with other weights", found)


def _exported(path, row):
    """A row of `exports.json` with the `path` of its file.

    The file must be in the same directory, even if the record names another
    one: it is served to browsers.
    """
    file = path.parent / row["file"]
    if row["format"] not in FORMATS or not file.is_file():
        reason = f"{row['format']} {row['file']}, which does not exist"
    elif (
        file.name != row["file"]
        or file.resolve() != path.parent.resolve() / file.name
    ):
        reason = f"{row['file']}, which lies elsewhere"
    else:
        export_records.check_file(file, row)
        return row | {"path": file}
    raise ValueError(
        "a record of exports must name files beside it, in known formats. "
        f"Received: {path} with {reason}; run kd-keras export again"
    )


def timings(latency, exports):
    """Returns the record of `kd_keras.latency`.

    Args:
        latency: str or path of its JSON file; by default `latency.json`
            in `exports`, if it exists.
        exports: path of the directory of exports; it need not exist.

    Returns:
        Dict: `hardware`, a dict or None, and `models`, a list of a row for
        each model; see `timing_of`.
    """
    path = pathlib.Path(latency or pathlib.Path(exports) / "latency.json")
    if not latency and not path.exists():
        return {"hardware": None, "models": []}
    record = records.read_json(
        path,
        {"hardware": dict, "models": [_TIMING]},
        what="a record of timings",
        remedy="run kd-keras latency again",
    )
    return {key: record[key] for key in ("hardware", "models")}


def timing_of(timings, path, names):
    """The timing of a model: that of its path, or else of its name.

    Args:
        timings: dict of `timings`.
        path: path of the model, or its name.
        names: list of str, names that its file may have elsewhere. A name
            that several timed models have tells nothing.

    Returns:
        Dict, the row; None without one.
    """
    rows, place = timings["models"], pathlib.Path(path).resolve()
    for row in rows:
        if pathlib.Path(row["path"]).resolve() == place:
            return row
    for name in names:
        named = [x for x in rows if pathlib.PurePath(x["path"]).name == name]
        if len(named) == 1:
            return named[0]
    return None

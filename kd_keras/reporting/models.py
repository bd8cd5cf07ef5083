"""Finds the models of the report, and makes the rows of its first table."""

import dataclasses
import logging
import pathlib

from kd_keras.deployment import formats
from kd_keras.evaluation import comparison
from kd_keras.teachers import copies, loading
from kd_keras.training import run_directory, stages, teacher_files

_log = logging.getLogger(__name__)


@dataclasses.dataclass
class Model:
    """A stage's model and its records.

    Attributes:
        role: `teacher`, `student` or `baseline`.
        paths: list of paths; several are a teacher of several members.
        classifier: function, images -> logits.
        record: dict, as in `report.json`; empty without that file.
        epochs: list of dicts, as in `metrics.jsonl`.
    """

    role: str
    paths: list
    classifier: object
    record: dict
    epochs: list


def find(config, workdir, savedmodels):
    """Loads teacher, student and, if it exists, baseline.

    Args:
        config: the student's configuration.
        workdir: path with `<stage>/` in it, or None.
        savedmodels: path with `<name>_<stage>/` in it.

    Returns:
        List of `Model`, the teacher first.

    Raises:
        ValueError: if there is no teacher or no student, or the student's run
            is not finished.
    """
    models = []
    for role in stages.ALL:
        if role == "teacher" and _all_exist(config.teacher.path):
            files = teacher_files.find(config, savedmodels)
            paths = [pathlib.Path(path) for path in files.paths]
            teacher = comparison.as_classifier(files.teacher)
            models.append(_model(role, paths, teacher))
            continue
        path = path_of(role, config.name, workdir, savedmodels)
        if path:
            models.append(_model(role, [path], loading.load_classifier(path)))
        elif role != "baseline":
            raise ValueError(
                f"the report needs a finished {role}: run kd-keras train "
                f"--stage={role} first. Received: no {role}/{role}.keras in "
                f"{workdir or 'a --workdir'}, no "
                f"{savedmodels / f'{config.name}_{role}'}"
            )
    return models


def _all_exist(teacher_path):
    """Whether all teachers of a run are still where the run had them."""
    paths = [part.strip() for part in teacher_path.split(",")]
    return all(part and _exists(part) for part in paths)


def _exists(path):
    try:
        return copies.local(path).exists()
    except FileNotFoundError:
        return False


def path_of(role, name, workdir, savedmodels):
    """The path of a stage's model, in the run's directory or exported.

    An export may be another run's. So it does not stand for a student or
    baseline whose own run is not finished.

    Args:
        role: `teacher`, `student` or `baseline`.
        name: str, the configuration's.
        workdir, savedmodels: as of `find`.

    Returns:
        Path, or None without a model.

    Raises:
        ValueError: if the run of a student is not finished.
    """
    if workdir:
        run = run_directory.RunDir(workdir / role, role)
        if run.report():
            return run.model_path
        is_unfinished = run.recorded() and not run.read_report()
        if is_unfinished and role == "student":
            raise ValueError(
                "the report needs a finished student: the same kd-keras train "
                f"resumes it. Received: {run.path}, which is not finished"
            )
        if is_unfinished and role == "baseline":
            _log.warning("baseline: left out; %s is not finished", run.path)
            return None
    path = savedmodels / f"{name}_{role}"
    return path if path.is_dir() else None


def _model(role, paths, classifier):
    record, epochs = {}, []
    if len(paths) == 1:
        folder = paths[0] if paths[0].is_dir() else paths[0].parent
        run = run_directory.RunDir(folder, role)
        epochs = run.metrics()
        record = run.read_report() or {}
    return Model(role, paths, classifier, record, epochs)


def rows(models, exported, measured, timings, name):
    """The rows of the table of models, exported files last.

    Args:
        models: list of `Model`.
        exported: list of dicts, from `records.exported_files`.
        measured: dict of roles to the results of `metrics.measure`.
        timings: dict of `records.timings`.
        name: str, the configuration's.
    """
    return [
        *(_model_row(x, measured[x.role], timings, name) for x in models),
        *(_exported_row(row, timings) for row in exported),
    ]


def _model_row(model, measured, timings, name):
    names = [f"{name}_{model.role}", model.paths[0].name]
    latencies = [timings["models"].get(name) for name in names]
    return {
        "role": model.role,
        "format": loading.find_kind(model.paths[0]).title,
        "errors": measured["errors"],
        "examples": measured["examples"],
        "parameters": model.record.get("parameters"),
        "macs": model.record.get("macs"),
        "bytes": sum(loading.size(path) for path in model.paths),
        "latency": latencies[0] or latencies[1],
    }


def _exported_row(exported, timings):
    return {
        "role": "student",
        "format": formats.FORMATS[exported["format"]].title,
        "errors": exported["errors"],
        "examples": exported["examples"],
        "parameters": None,
        "macs": None,
        "bytes": exported["bytes"],
        "latency": timings["models"].get(exported["file"]),
    }

"""Finds the models of the report, and makes the rows of its first table."""

import dataclasses
import logging
import pathlib

from kd_keras.deployment import formats
from kd_keras.evaluation import comparison
from kd_keras.reporting import records
from kd_keras.teachers import loading
from kd_keras.training import (
    run_directory,
    stages,
    teacher_files,
    teacher_paths,
)

_log = logging.getLogger(__name__)


@dataclasses.dataclass
class Model:
    """A stage's model and its records.

    Attributes:
        role: `teacher`, `student` or `baseline`.
        paths: list of paths, or of str for a teacher that is a name; several
            are a teacher of several members.
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
        ValueError: if there is no teacher or no student, the teacher that
            the run names does not exist, or the student's run is not finished.
    """
    models = []
    for role in stages.ALL:
        if role == "teacher" and config.teacher.path:
            models.append(_given_teacher(config, savedmodels))
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
    if config.teacher.path and not config.teacher.backbone:
        _warn_of_other_weights(config, savedmodels, models)
    return models


def _warn_of_other_weights(config, savedmodels, models):
    """Warns if the student has learned from other weights of its teacher."""
    (student,) = [x for x in models if x.role == "student"]
    record = _run_of(student.paths[0], "student").recorded() or {}
    names = ("store.teacher.fingerprint", "teacher.fingerprint")
    learned = [record.get("depends_on", {}).get(name) for name in names]
    now = teacher_files.find(config, savedmodels).record["fingerprint"]
    if any(learned) and now not in learned:
        _log.warning(
            "teacher: %s has other weights now than when the student learned "
            "from it; the report has the figures of the present ones",
            ", ".join(map(str, models[0].paths)),
        )


def _run_of(path, role):
    folder = path if path.is_dir() else path.parent
    return run_directory.RunDir(folder, role)


def _given_teacher(config, savedmodels):
    """The teacher that the run names; the exported one may be another."""
    paths = teacher_paths.of(config, savedmodels)
    references = [_reference(path) for path in paths]
    files = teacher_files.find(config, savedmodels)
    classifier = comparison.as_classifier(files.teacher)
    return _model("teacher", references, classifier)


def _reference(path):
    """The path of a teacher on local disk, or its name."""
    try:
        _, reference = loading.find_teacher(path)
    except FileNotFoundError:
        raise ValueError(
            "the report needs the teacher of the run: put it back, or run "
            "kd-keras report in the directory that its path starts from. "
            f"Received: {path}, which does not exist"
        ) from None
    return reference


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
    if len(paths) == 1 and _is_file(paths[0]):
        run = _run_of(paths[0], role)
        epochs = run.metrics()
        record = run.read_report() or {}
    return Model(role, paths, classifier, record, epochs)


def _is_file(reference):
    """Whether a teacher is a file or directory, and not a name."""
    return isinstance(reference, pathlib.Path)


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
    path = model.paths[0]
    names = [f"{name}_{model.role}", pathlib.PurePath(path).name]
    return {
        "role": model.role,
        "format": loading.find_teacher(path)[0].title,
        "errors": measured["errors"],
        "examples": measured["examples"],
        "parameters": model.record.get("parameters"),
        "macs": model.record.get("macs"),
        "bytes": _bytes(model.paths),
        "latency": records.timing_of(timings, path, names),
    }


def _bytes(paths):
    """Bytes of a model's files; None if a part of it has no file."""
    if not all(map(_is_file, paths)):
        return None
    return sum(loading.size(path) for path in paths)


def _exported_row(exported, timings):
    return {
        "role": "student",
        "format": formats.FORMATS[exported["format"]].title,
        "errors": exported["errors"],
        "examples": exported["examples"],
        "parameters": None,
        "macs": None,
        "bytes": exported["bytes"],
        "latency": records.timing_of(
            timings, exported["path"], [exported["file"]]
        ),
    }

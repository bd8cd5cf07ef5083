"""Finds the models of the report, and makes the rows of its first table."""

import dataclasses
import logging
import pathlib

from kd_keras.deployment import formats
from kd_keras.evaluation import comparison
from kd_keras.reporting import records
from kd_keras.teachers import loading, precision
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
        paths: list, as in the result of `places`.
        classifier: function, images -> logits.
        record: dict, as in `report.json`; empty without that file.
        epochs: list of dicts, as in `metrics.jsonl`.
    """

    role: str
    paths: list
    classifier: object
    record: dict
    epochs: list


def places(config, workdir, savedmodels):
    """Finds teacher, student and, if it exists, baseline; loads nothing.

    Args:
        config: the student's configuration.
        workdir: path with `<stage>/` in it, or None.
        savedmodels: path with `<name>_<stage>/` in it.

    Returns:
        Dict of roles to lists of paths, or of str for a teacher that is a
        name; the teacher first. Several are a teacher of several members.

    Raises:
        ValueError: if there is no teacher or no student, the teacher that
            the run names does not exist, or the student's run is not finished.
    """
    found = {}
    for role in stages.ALL:
        if role == "teacher" and config.teacher.path:
            paths = teacher_paths.of(config, savedmodels)
            found[role] = [_reference(path) for path in paths]
            continue
        path = path_of(role, config.name, workdir, savedmodels)
        if path:
            found[role] = [path]
        elif role != "baseline":
            raise ValueError(
                f"the report needs a finished {role}: run kd-keras train "
                f"--stage={role} first. Received: no {role}/{role}.keras in "
                f"{workdir or 'a --workdir'}, no "
                f"{savedmodels / f'{config.name}_{role}'}"
            )
    return found


def load(config, found, savedmodels, *, class_names=None):
    """Loads the models; the teacher as it taught, with the run's options.

    Args:
        config: the student's configuration.
        found: dict, as `places` returns it.
        savedmodels: as `places`.
        class_names: list of str, the classes of the data, or None.

    Returns:
        List of `Model`, in the order of `found`.
    """
    config = _measurable(config)
    files = teacher_files.find(
        config, savedmodels, paths=found["teacher"], class_names=class_names
    )
    _warn_of_other_weights(files, found["student"][0])
    classifiers = {"teacher": comparison.as_classifier(files.teacher)}
    for role in found.keys() - classifiers:
        classifiers[role] = loading.load_classifier(found[role][0])
    return [
        _model(role, paths, classifiers[role]) for role, paths in found.items()
    ]


def _measurable(config):
    """The configuration, with a precision that this machine computes in."""
    if config.teacher.precision == "float32" or precision.is_available():
        return config
    _log.warning(
        "teacher: measured in float32, since this machine does not compute it "
        "in the %s that it taught in",
        config.teacher.precision,
    )
    config = config.copy_and_resolve_references()
    config.teacher.precision = "float32"
    return config


def _warn_of_other_weights(files, student):
    """Warns if the student has learned from other weights of its teacher."""
    record = _run_of(student, "student").recorded() or {}
    names = ("store.teacher.fingerprint", "teacher.fingerprint")
    learned = [record.get("depends_on", {}).get(name) for name in names]
    if any(learned) and files.record["fingerprint"] not in learned:
        _log.warning(
            "teacher: %s has other weights now than when the student learned "
            "from it; the report has the figures of the present ones",
            ", ".join(files.paths),
        )


def _run_of(path, role):
    folder = path if path.is_dir() else path.parent
    return run_directory.RunDir(folder, role)


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
        ValueError: if the run of a student is not finished, or its network was
            removed and the export is another run's.
    """
    exported = savedmodels / f"{name}_{role}"
    if workdir:
        run = run_directory.RunDir(workdir / role, role)
        if run.report():
            return run.model_path
        reason = _reason_against(exported, run)
        if reason and role == "student":
            raise ValueError(f"the report needs {reason}")
        if reason and role == "baseline":
            _log.warning("baseline: left out; the report needs %s", reason)
            return None
    return exported if exported.is_dir() else None


def _reason_against(exported, run):
    """Why an export does not stand for a run without its network.

    Returns:
        str, what the report needs and what it received; empty if it does.
    """
    report = run.read_report()
    if run.recorded() and not report:
        return (
            f"a finished {run.stage}: the same kd-keras train resumes it. "
            f"Received: {run.path}, which is not finished"
        )
    is_of_another = (
        report
        and exported.is_dir()
        and run_directory.RunDir(exported, run.stage).read_report() != report
    )
    if is_of_another:
        return (
            f"the {run.stage} of the run: put {run.model_path} back, or leave "
            f"--workdir out for the export alone. Received: {exported}, which "
            "is of another run"
        )
    return ""


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

"""Measures the models of a run and gathers their records."""

import logging
import pathlib

from kd_keras import config as config_lib
from kd_keras.data import few_labels, sources
from kd_keras.evaluation import comparison, metrics, predict
from kd_keras.reporting import models as models_lib
from kd_keras.reporting import records
from kd_keras.teachers import fingerprint
from kd_keras.utils import provenance, remote

_log = logging.getLogger(__name__)


def gather(
    *,
    workdir=None,
    savedmodels,
    name="",
    exports=None,
    latency=None,
    onnx_needed=False,
):
    """Measures the models on the test set and collects their records.

    Args:
        workdir: path with `<stage>/` in it, or None.
        savedmodels: path with `<name>_<stage>/` in it, for stages that are
            not in `workdir`.
        name: str, the configuration's name; by default the run's.
            Without a `config.json` it also names the data set.
        exports: directory of `kd_keras.export`; by default
            `<savedmodels>/<name>_student_exports`, if it exists. Files of
            models with other weights than the student's are left out.
        latency: JSON file of `kd_keras.latency`; by default
            `latency.json` in `exports`, if it exists.
        onnx_needed: bool; True where the page is served.

    Returns:
        Dict: everything that `rendering.render` puts into the page.

    Raises:
        FileNotFoundError, ValueError: if there is no student or teacher, no
            labelled test set, or a file cannot be used.
    """
    for option, path in (
        ("--workdir", workdir),
        ("--savedmodels", savedmodels),
        ("--exports", exports),
        ("--latency", latency),
    ):
        remote.check_local(path or "", option)
    workdir = workdir and pathlib.Path(workdir)
    savedmodels = pathlib.Path(savedmodels)
    config, recorded = records.configuration(workdir, savedmodels, name)
    student = models_lib.path_of("student", config.name, workdir, savedmodels)
    directory = exports or savedmodels / f"{config.name}_student_exports"
    exported = records.exported_files(
        directory,
        is_given=bool(exports),
        names=[f"{config.name}_student", "student.keras"],
        weights=student and fingerprint.fingerprint(student),
    )
    onnx = _onnx_file(exported, needed=onnx_needed)
    places = models_lib.places(config, workdir, savedmodels)
    timings = records.timings(latency, directory)
    dataset = sources.load_dataset(config.data)
    models = models_lib.load(
        config, places, savedmodels, class_names=dataset.class_names
    )
    data = _predictions(dataset, models)
    measures = _measures(data, config.distill.temperature)
    return {
        "name": config.name,
        **data,
        "recorded": recorded,
        "temperature": config.distill.temperature,
        "labels_used": config_lib.uses_labels(config),
        # 0 for all labels, or for the labels of a list.
        "baseline_labels": few_labels.of_baseline(config).per_class
        * len(data["classes"]),
        "models": models_lib.rows(
            models, exported, measures["measured"], timings, config.name
        ),
        "hardware": timings["hardware"],
        **measures,
        "curves": {
            x.role: x.epochs for x in models if x.role != "teacher" and x.epochs
        },
        "onnx": onnx,
        "versions": provenance.versions(),
    }


def _onnx_file(exported, *, needed):
    """The path of the exported ONNX file, or None."""
    paths = [row["path"] for row in exported if row["format"] == "onnx"]
    if needed and not paths:
        raise ValueError(
            "--serve needs the student's ONNX file: run kd_keras.export with "
            "--formats=onnx and give its --exports. Received: none"
        )
    return next(iter(paths), None)


def _predictions(dataset, models):
    """The test set with its labels, and each model's logits for it."""
    parts = comparison.load_parts(dataset)
    test = parts.get("test")
    if test is None or not test.labelled:
        raise ValueError(
            "the report needs test images with labels, such as a folder's "
            f"test/<class>/. Received: {dataset.name} without; kd-keras "
            "evaluate --teacher --split=train compares a student with its "
            "teacher without labels"
        )
    for model in models:
        _log.info("%s: %s", model.role, ", ".join(map(str, model.paths)))
        comparison.check_fit(
            model.classifier,
            test,
            class_names=parts["class_names"],
            repeats_grey=model.role == "teacher",
        )
    labels, logits = predict.predict(
        {model.role: model.classifier for model in models}, test
    )
    return {
        "data": dataset.name,
        "source": dataset.source,
        "classes": dataset.class_names
        or [str(i) for i in range(test.num_classes)],
        "examples": test,
        "labels": labels,
        "logits": logits,
    }


def _measures(data, temperature):
    """Metrics of each model, and of the student against the others."""
    logits, labels = data["logits"], data["labels"]
    against_baseline = None
    if "baseline" in logits:
        against_baseline = metrics.compare(
            logits=logits["student"],
            other_logits=logits["baseline"],
            labels=labels,
        )
    return {
        "measured": {
            role: metrics.measure(logits=values, labels=labels)
            for role, values in logits.items()
        },
        "against_teacher": metrics.compare_with_teacher(
            logits=logits["student"],
            teacher_logits=logits["teacher"],
            labels=labels,
            temperature=temperature,
        ),
        "against_baseline": against_baseline,
    }

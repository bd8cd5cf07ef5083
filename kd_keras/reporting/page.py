"""The report: what runs, models and exports hold, as one HTML page."""

import base64
import dataclasses
import json
import logging
import pathlib

import numpy as np
import tensorflow as tf
from scipy import special

from kd_keras import config as config_lib
from kd_keras import evaluation
from kd_keras.data import sources
from kd_keras.deployment.formats import FORMATS
from kd_keras.evaluation import metrics
from kd_keras.reporting import charts
from kd_keras.teachers import loading
from kd_keras.training import run_directory, stages
from kd_keras.utils import packages, provenance

_log = logging.getLogger(__name__)

# The accuracy on CIFAR-10 that learning curves are read at.
_MARKS = {"cifar10": 0.86}
# The page's pictures, together, and how many of them differ most.
_PICTURES = 80
_DISAGREEMENTS = 12
_LARGEST_SIDE = 96
# Logits in the page, of both models; they shall not fill it.
_LOGITS_BYTES = 1_500_000
# Rows and columns of the matrices, with more classes than these.
_MATRIX_CLASSES = 20


@dataclasses.dataclass
class Model:
    """A stage's model and what is written down of it.

    Attributes:
        role: `teacher`, `student` or `baseline`.
        paths: list of paths: several are a teacher of several members.
        classifier: function, images -> logits.
        record: dict, as in `report.json`; empty where there is none.
        epochs: list of dicts, as in `metrics.jsonl`.
    """

    role: str
    paths: list
    classifier: object
    record: dict
    epochs: list

    @property
    def format(self):
        return loading.find_kind(self.paths[0]).title


def check_packages():
    """Raises a ValueError if a package of the extra is not installed."""
    for module in ("jinja2", "matplotlib"):
        packages.optional(module, extra="report")


def gather(
    *,
    workdir=None,
    savedmodels,
    name="",
    exports=None,
    latency=None,
    onnx_needed=False,
):
    """Measures the models on the test set and collects what is on record.

    Args:
        workdir: path with `<stage>/` in it, or None.
        savedmodels: path with `<name>_<stage>/` in it; a stage without a
            finished model in `workdir` is looked for here.
        name: str, the configuration's; by default that of the run directory.
            Where no `config.json` tells the data, the data set's name too.
        exports: directory of `kd_keras.export`; by default
            `<savedmodels>/<name>_student_exports`, where it is there.
        latency: JSON file of `kd_keras.latency`; by default that of
            `exports`, where it is there.
        onnx_needed: bool; True where the page is served.

    Returns:
        Dict: all that `render` puts into the page.

    Raises:
        FileNotFoundError, ValueError: if there is no student or teacher, no
            labelled test set, or a file cannot be used.
    """
    workdir = workdir and pathlib.Path(workdir)
    savedmodels = pathlib.Path(savedmodels)
    config, recorded = _config(workdir, savedmodels, name)
    rows = _exported(exports, savedmodels / f"{config.name}_student_exports")
    onnx = next((row["path"] for row in rows if row["format"] == "onnx"), None)
    if onnx_needed and not onnx:
        raise ValueError(
            "--serve needs the student's ONNX file: run kd_keras.export with "
            "--formats=onnx and give its --exports. Received: none"
        )
    models = _models(config, workdir, savedmodels)
    timings = _timings(latency, rows)
    dataset = sources.load_dataset(config.data)
    test = evaluation.part(evaluation.load_parts(dataset), "test")
    classifiers = {model.role: model.classifier for model in models}
    for model in models:
        _log.info("%s: %s", model.role, ", ".join(map(str, model.paths)))
    for classifier in classifiers.values():
        evaluation.check_fit(classifier, test)
    labels, logits = evaluation.predict(classifiers, test)

    measured = {
        role: metrics.measure(logits=logits[role], labels=labels)
        for role in classifiers
    }
    return {
        "name": config.name,
        "data": dataset.name,
        "source": dataset.source,
        "classes": dataset.class_names
        or [str(i) for i in range(test.num_classes)],
        "recorded": recorded,
        "temperature": config.distill.temperature,
        "labels_used": config_lib.uses_labels(config),
        "models": [
            _model_row(model, measured[model.role], timings, config.name)
            for model in models
        ]
        + [_export_row(row, timings) for row in rows],
        "hardware": timings["hardware"],
        "measured": measured,
        "against_teacher": metrics.compare_with_teacher(
            logits=logits["student"],
            teacher_logits=logits["teacher"],
            labels=labels,
            temperature=config.distill.temperature,
        ),
        "against_baseline": metrics.compare(
            logits=logits["student"],
            other_logits=logits["baseline"],
            labels=labels,
        )
        if "baseline" in logits
        else None,
        "curves": {
            model.role: model.epochs
            for model in models
            if model.role != "teacher" and model.epochs
        },
        "examples": test,
        "labels": labels,
        "logits": logits,
        "onnx": onnx,
        "versions": provenance.versions(),
    }


def _config(workdir, savedmodels, name):
    """The configuration, and whether it is on record or the defaults."""
    folders = []
    if workdir:
        if not workdir.is_dir():
            raise ValueError(
                "--workdir must be a directory of runs. Received: "
                f"{workdir}, which does not exist"
            )
        folders = [workdir / stage for stage in ("student", "baseline")]
    if name:
        folders.append(savedmodels / f"{name}_student")
    config = config_lib.default_config()
    records = [folder / "config.json" for folder in folders]
    record = next((path for path in records if path.exists()), None)
    if record:
        config.update(_read_json(record, "config")["config"])
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
    return config, record is not None


def _read_json(path, *keys):
    """A file's JSON object; raises a ValueError if it lacks a key."""
    try:
        record = json.loads(pathlib.Path(path).read_text())
    except ValueError as error:
        raise ValueError(
            f"a record must be whole JSON. Received: {path} ({error})"
        ) from error
    missing = [key for key in keys if key not in record]
    if missing:
        raise ValueError(
            f"a record must have {', '.join(keys)}. Received: {path} without "
            f"{', '.join(missing)}"
        )
    return record


def _models(config, workdir, savedmodels):
    models = []
    for role in config_lib.STAGES:
        path = _find(role, config.name, workdir, savedmodels)
        if role == "teacher" and _is_here(config.teacher.path):
            files = stages.teacher_files(config, savedmodels)
            paths = [pathlib.Path(path) for path in files.paths]
            teacher = evaluation.as_classifier(files.teacher)
            models.append(_model(role, paths, teacher))
        elif path:
            models.append(_model(role, [path], loading.load_classifier(path)))
        elif role != "baseline":
            raise ValueError(
                f"the report needs a finished {role}: run --stage={role} "
                f"first. Received: no {role}/{role}.keras in "
                f"{workdir or 'a --workdir'}, no "
                f"{savedmodels / f'{config.name}_{role}'}"
            )
    return models


def _is_here(teacher_path):
    """Whether a run's teacher lies where it did when the run was made."""
    paths = [part.strip() for part in teacher_path.split(",")]
    return all(part and pathlib.Path(part).exists() for part in paths)


def _find(role, name, workdir, savedmodels):
    """The path of a finished stage's model, or None."""
    if workdir:
        run = run_directory.RunDir(workdir / role, role)
        if run.report():
            return run.model_path
    path = savedmodels / f"{name}_{role}"
    return path if path.is_dir() else None


def _model(role, paths, classifier):
    record, epochs = {}, []
    if len(paths) == 1:
        folder = paths[0] if paths[0].is_dir() else paths[0].parent
        run = run_directory.RunDir(folder, role)
        epochs = run.metrics()
        if run.report_path.exists():
            record = _read_json(run.report_path)
    return Model(role, paths, classifier, record, epochs)


def _exported(exports, default):
    """The rows of `exports.json` but the model's own, with their paths."""
    path = pathlib.Path(exports or default) / "exports.json"
    if not path.exists():
        if exports:
            raise ValueError(
                "--exports must be a directory of kd_keras.export. Received: "
                f"{exports}, without exports.json"
            )
        return []
    rows = _read_json(path, "formats")["formats"]
    rows = [
        row | {"path": path.parent / row["file"]}
        for row in rows
        if row["format"] != "model"
    ]
    for row in rows:
        if not row["path"].exists():
            raise ValueError(
                f"{path} must name files that are there. Received: "
                f"{row['file']}"
            )
    return rows


def _timings(latency, rows):
    """What was timed, by the last component of the path."""
    path = latency and pathlib.Path(latency)
    if not path and rows:
        beside = rows[0]["path"].parent / "latency.json"
        path = beside if beside.exists() else None
    if not path:
        return {"hardware": None, "models": {}}
    record = _read_json(path, "hardware", "models")
    return {
        "hardware": record["hardware"],
        "models": {
            pathlib.PurePath(row["path"]).name: row for row in record["models"]
        },
    }


def _model_row(model, measured, timings, name):
    names = [f"{name}_{model.role}", model.paths[0].name]
    return {
        "role": model.role,
        "format": model.format,
        "errors": measured["errors"],
        "examples": measured["examples"],
        "parameters": model.record.get("parameters"),
        "macs": model.record.get("macs"),
        "bytes": sum(loading.size(path) for path in model.paths),
        "latency": next(
            (timings["models"][n] for n in names if n in timings["models"]),
            None,
        ),
    }


def _export_row(row, timings):
    return {
        "role": "student",
        "format": FORMATS[row["format"]].title,
        "errors": row["errors"],
        "examples": row["examples"],
        "parameters": None,
        "macs": None,
        "bytes": row["bytes"],
        "latency": timings["models"].get(row["file"]),
    }


def render(report, *, served=False):
    """The page.

    Args:
        report: dict of `gather`.
        served: bool; True where `page_server` puts the runtime beside it.

    Returns:
        str, HTML that needs nothing from anywhere, but for the try-it panel.

    Raises:
        ValueError: if jinja2 or matplotlib is not installed.
    """
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
    rows = [_with_interval(row) for row in report["models"]]
    return environment.get_template("page.html").render(
        report=report,
        rows=rows,
        scale=_scale(rows),
        served=served,
        curves=_curve_charts(report),
        reliability=charts.reliability(
            report["measured"],
            title="Reliability diagram: accuracy by confidence",
        ),
        matrices=_confusion(report),
        disagreements=_disagreements(report),
        page_data=_page_data(report),
    )


def png(image):
    """A picture as PNG bytes.

    Args:
        image: uint8 array `(height, width, channels)`.
    """
    return tf.io.encode_png(image).numpy()


def _size(value):
    for unit, bytes_each in (("MB", 1e6), ("kB", 1e3)):
        if value >= bytes_each:
            return f"{value / bytes_each:,.2f}\xa0{unit}"
    return f"{value}\xa0B"


def _big(value):
    for unit, each in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= each:
            return f"{value / each:.1f}\xa0{unit}"
    return str(value)


def _with_interval(row):
    right = row["examples"] - row["errors"]
    low, high = metrics.proportion_interval(right, row["examples"])
    share = right / row["examples"]
    return row | {"accuracy": share, "low": low, "high": high}


def _scale(rows):
    """Both ends of the axis that the intervals are drawn on."""
    low, high = min(r["low"] for r in rows), max(r["high"] for r in rows)
    return {"low": low, "width": max(high - low, 1e-9)}


def _curve_charts(report):
    """The charts and what they show, or None without a record."""
    curves = report["curves"]
    if not curves:
        return None
    quantities = {role: _quantity(epochs) for role, epochs in curves.items()}
    if len(set(quantities.values())) == 1:
        ((key, quantity),) = set(quantities.values())
        quantities = dict.fromkeys(curves, (key, quantity))
        y_label = quantity
    else:
        y_label = "share of training pictures"
    # A mark of accuracy says nothing of the agreement with a teacher.
    keys = {key for key, _ in quantities.values()}
    mark = None if "agreement" in keys else _MARKS.get(report["data"])
    drawn, passed = [], []
    for x_label, of in (
        ("epoch", lambda epochs: [epoch["epoch"] for epoch in epochs]),
        (
            "seconds of training",
            lambda epochs: np.cumsum([e["seconds"] for e in epochs]).tolist(),
        ),
    ):
        lines = {
            role: (
                of(epochs),
                [epoch[quantities[role][0]] for epoch in epochs],
            )
            for role, epochs in curves.items()
        }
        drawn.append(
            charts.learning_curves(
                lines,
                x_label=x_label,
                y_label=y_label,
                title=f"Learning curves: {y_label} by {x_label}",
                mark=mark,
            )
        )
        passed.append(
            {
                role: mark and charts.first_past(x, y, mark)
                for role, (x, y) in lines.items()
            }
        )
    return {
        "charts": drawn,
        "mark": mark,
        "passed": [(role, passed[0][role], passed[1][role]) for role in curves],
        "quantities": {role: text for role, (_, text) in quantities.items()},
    }


def _quantity(epochs):
    """The best measure of accuracy that every epoch has: `(key, text)`."""
    for key, text in (
        ("val_accuracy", "accuracy on held-out pictures"),
        ("accuracy", "accuracy on training pictures"),
    ):
        if all(key in epoch for epoch in epochs):
            return key, text
    return "agreement", "agreement with the teacher on training pictures"


def _confusion(report):
    """Every model's confusion matrix, of the most confused classes."""
    confusion = {
        role: np.array(measured["confusion"])
        for role, measured in report["measured"].items()
    }
    shown = _shown_classes(report)
    return {
        role: [
            [
                # Of the class's examples: what the colour shows.
                (int(matrix[i, j]), matrix[i, j] / max(matrix[i].sum(), 1))
                for j in shown
            ]
            for i in shown
        ]
        for role, matrix in confusion.items()
    }


def _shown_classes(report):
    """The classes with most of the student's errors, in their order."""
    matrix = np.array(report["measured"]["student"]["confusion"])
    missed = matrix.sum(axis=1) - matrix.diagonal()
    most = np.argsort(-missed, kind="stable")[:_MATRIX_CLASSES]
    return sorted(most.tolist())


def _disagreements(report):
    """Test pictures where both are sure, and not of the same class."""
    probs = {
        role: special.softmax(report["logits"][role].astype("float64"), -1)
        for role in ("teacher", "student")
    }
    top = {role: values.argmax(-1) for role, values in probs.items()}
    sure = np.minimum(probs["teacher"].max(-1), probs["student"].max(-1))
    order = np.argsort(-sure, kind="stable")
    differ = top["teacher"][order] != top["student"][order]
    chosen = order[differ][:_DISAGREEMENTS]
    return [
        {
            "index": int(i),
            "src": src,
            "label": int(report["labels"][i]),
            **{
                role: (int(top[role][i]), float(probs[role][i].max()))
                for role in top
            },
        }
        for i, src in zip(chosen, _pictures(report["examples"], chosen))
    ]


def _pictures(examples, positions):
    """Data URIs of the pictures at `positions`, at most 96 pixels wide."""
    if not len(positions):
        return []
    order = np.sort(positions)
    images = examples.subset(order).sample(len(order))
    scale = _LARGEST_SIDE / max(images.shape[1:3])
    if scale < 1:
        size = [round(side * scale) for side in images.shape[1:3]]
        resized = tf.image.resize(images, size, antialias=True)
        images = tf.saturate_cast(tf.round(resized), tf.uint8).numpy()
    return [
        "data:image/png;base64,"
        + _base64(png(images[np.searchsorted(order, position)]))
        for position in positions
    ]


def _base64(data):
    return base64.b64encode(data).decode()


def _selection(report):
    """Positions of test pictures, from every class, easy and hard ones.

    Half are spread over the teacher's confidence, half are those that teacher
    and student differ most about, at the training's temperature.
    """
    soft = {
        role: special.softmax(
            report["logits"][role].astype("float64") / report["temperature"],
            axis=-1,
        )
        for role in ("teacher", "student")
    }
    confidence = soft["teacher"].max(-1)
    difference = np.abs(soft["teacher"] - soft["student"]).sum(-1)
    classes = np.unique(report["labels"])[:_PICTURES]
    each = max(_PICTURES // len(classes) // 2, 1)
    chosen = []
    for label in classes:
        members = np.flatnonzero(report["labels"] == label)
        by_confidence = members[np.argsort(confidence[members], kind="stable")]
        spread = np.linspace(0, len(members) - 1, each).round().astype(int)
        by_difference = members[np.argsort(-difference[members], kind="stable")]
        both = [*by_confidence[spread], *by_difference[:each]]
        chosen += list(dict.fromkeys(map(int, both)))
    return chosen


def _page_data(report):
    """What the page's script computes with, as JSON values."""
    chosen = _selection(report)
    num_classes = len(report["classes"])
    # The mean over the first ones is near that over all.
    count = min(len(report["labels"]), _LOGITS_BYTES // (4 * num_classes))
    labels = report["labels"].astype("<u2")
    return {
        "classes": report["classes"],
        "temperature": report["temperature"],
        "imageShape": list(report["examples"].image_shape),
        "total": len(labels),
        "labels": _base64(labels[:count].tobytes()),
        "logits": {
            role: _quantized(report["logits"][role], count)
            for role in ("teacher", "student")
        },
        "shown": _shown_classes(report),
        "pictures": [
            {
                "index": position,
                "label": int(labels[position]),
                "src": src,
                "logits": {
                    role: report["logits"][role][position]
                    .astype("float64")
                    .round(4)
                    .tolist()
                    for role in ("teacher", "student")
                },
            }
            for position, src in zip(
                chosen, _pictures(report["examples"], chosen)
            )
        ],
    }


def _quantized(logits, count):
    """16-bit logits: half a step is less than 2e-5 of the largest one."""
    # A shift of a row's logits changes no probability.
    logits = logits - logits.mean(axis=-1, keepdims=True)
    scale = max(float(np.abs(logits).max()), 1e-9) / 32767
    steps = np.round(logits[:count] / scale).astype("<i2")
    return {"scale": scale, "steps": _base64(steps.tobytes())}

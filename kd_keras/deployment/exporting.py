"""Exports to other runtimes: converted, compared, then put in place."""

import functools
import json
import logging
import pathlib
import tempfile

import numpy as np

from kd_keras import evaluation
from kd_keras.deployment import conversion
from kd_keras.evaluation import metrics
from kd_keras.teachers import loading
from kd_keras.utils import files, packages, provenance, quiet

FORMATS = {
    "litert": ".tflite",
    "litert_int8": "_int8.tflite",
    "onnx": ".onnx",
    "c_array": "_int8.h",
}
# What is written beside the exported files.
_RECORDS = ("model_card.md", "exports.json")
# Largest difference of a float format's logits, as a share of the largest.
_TOLERANCE = 1e-3
# An int8 model with less is not a rounded one but a broken one.
_LEAST_AGREEMENT = 0.9
# Training pictures that set the ranges of one int8 model.
_CALIBRATED_TOGETHER = 100
# LiteRT for Microcontrollers has no fast kernels on this side.
_MICRO_EXAMPLES = 200
_PACKAGES = (
    "kd_keras",
    "tensorflow",
    "ai-edge-litert",
    "onnxruntime",
    "tf2onnx",
    "tflite-micro",
)
_log = logging.getLogger(__name__)


def export(
    model, *, formats, output, data, calibration_examples=500, command=""
):
    """Writes a model in several formats, each compared before it is there.

    Args:
        model: path of a SavedModel or `.keras` file.
        formats: list of keys of `FORMATS`.
        output: directory; `<model's name><ending>` are written, with
            `model_card.md` and, for programs, `exports.json`.
        data: name of a set, `config.data` or a `datasets.Dataset`.
        calibration_examples: int, training pictures that set the ranges of
            int8, the best hundred of them. Their labels are not used.
        command: str, for the record.

    Returns:
        List of dicts, the model's and one for each format: `format`, `file`,
        `bytes`, `errors` and `examples`, `agreement` with the model,
        `largest_difference` of the logits, and `arena_bytes` of `c_array`.

    Raises:
        FileNotFoundError, ValueError: if the model, a format or the data
            cannot be used, a package is missing, a file of the same name was
            written by somebody else, or a file does not compute what the
            model does. What was compared before remains.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ValueError(
            f"formats must be of {', '.join(FORMATS)}. Received: "
            f"{', '.join(unknown) or 'none'}"
        )
    if calibration_examples < 1:
        raise ValueError(
            "calibration_examples must be >= 1. Received: "
            f"{calibration_examples}"
        )
    _check_packages(formats)
    directory = files.OutputDirectory(output)
    name = pathlib.Path(model).stem
    names = {format: name + FORMATS[format] for format in formats}
    directory.check([*names.values(), *_RECORDS])
    model = pathlib.Path(model)
    reference = loading.load_classifier(model)
    if reference.kind not in ("saved_model", "keras"):
        raise ValueError(
            "a model that is exported must be a SavedModel or .keras file. "
            f"Received: {model}"
        )
    parts = evaluation.load_parts(data)
    test = evaluation.part(parts, "test")
    evaluation.check_fit(reference, test)
    with quiet.without_messages():
        source = conversion.Source(model)
    labels, logits = evaluation.predict({"model": reference}, test)
    expected = logits["model"]

    pictures = parts["train"].sample(calibration_examples)
    # Twice of use, and slow.
    int8 = functools.cache(lambda: _best_int8(source, reference, pictures))
    converters = {
        "litert": source.litert,
        "litert_int8": int8,
        "onnx": source.onnx,
        "c_array": lambda: conversion.c_array(
            int8(), name=f"{name}_int8"
        ).encode(),
    }
    rows = [_row("model", model, expected, labels)]
    for format in formats:
        with directory.replacing(names[format]) as temporary:
            with quiet.without_messages():
                temporary.write_bytes(converters[format]())
            row = _compared(temporary, format, test, expected, labels)
        rows.append(row)
        _log.info("%s: %s", format, directory.path / names[format])
    record = {"model": str(model), "command": command, "formats": rows}
    card = _card(name, record, parts, len(pictures))
    directory.write_text("model_card.md", card)
    directory.write_text("exports.json", json.dumps(record, indent=2) + "\n")
    return rows


def table(rows):
    """The rows of `export`, as text in columns."""
    lines = [
        f"{'format':13}{'bytes':>11}{'test errors':>17}{'points lost':>13}"
        f"{'agreement':>11}{'logits differ by':>18}{'arena':>9}"
    ]
    shares = {
        row["examples"]: row["errors"] / row["examples"]
        for row in rows
        if row["format"] == "model"
    }
    for row in rows:
        errors = f"{row['errors']:,} of {row['examples']:,}"
        # Of as many examples as the model's own only.
        lost = "-"
        if row["examples"] in shares and row["format"] != "model":
            share = row["errors"] / row["examples"]
            lost = f"{100 * (share - shares[row['examples']]):+.2f}"
        lines.append(
            f"{row['format']:13}{row['bytes']:>11,}{errors:>17}{lost:>13}"
            f"{row.get('agreement', 1):>11.2%}"
            f"{row.get('largest_difference', 0):>18.2g}"
            f"{row.get('arena_bytes', '-'):>9}"
        )
    return "\n".join(lines)


def _check_packages(formats):
    """Before anything is done: which packages the formats want."""
    needed = {
        "litert": ("ai_edge_litert",),
        "litert_int8": ("ai_edge_litert",),
        "onnx": ("tf2onnx", "onnxruntime"),
        "c_array": ("tflite_micro",),
    }
    for format in formats:
        for module in needed[format]:
            packages.optional(module, module.replace("_", "-"))


def _best_int8(source, reference, pictures):
    """The int8 model that is closest to the float one, of several.

    The range of an activation is that of its most extreme value, so that a
    single picture may make all steps coarse. Each part of the pictures
    calibrates a model; the one with the smallest mean KL to the float model,
    over all the pictures, is kept. No label is needed.
    """
    expected = reference(pictures)
    parts = max(len(pictures) // _CALIBRATED_TOGETHER, 1)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(parts):
            model = source.litert_int8(pictures[i::parts])
            path = pathlib.Path(folder) / f"{i}.tflite"
            path.write_bytes(model)
            logits = loading.load_classifier(path)(pictures)
            kl = metrics.mean_kl(teacher_logits=expected, student_logits=logits)
            found.append((kl, i, model))
    return min(found)[-1]


def _compared(path, format, test, expected, labels):
    """The row of a file; raises a ValueError if it is not the model."""
    classifier = loading.load_classifier(path)
    _, logits = evaluation.predict(
        {"file": classifier},
        test,
        at_most=_MICRO_EXAMPLES if format == "c_array" else None,
    )
    logits = logits["file"]
    expected, labels = expected[: len(logits)], labels[: len(logits)]
    difference = float(np.max(np.abs(logits - expected)))
    agreement = metrics.agreement(
        teacher_logits=expected, student_logits=logits
    )
    if format in ("litert", "onnx"):
        limit = _TOLERANCE * max(1.0, float(np.max(np.abs(expected))))
        if not difference <= limit:
            raise ValueError(
                f"{path.name} must compute what the model does. Received: "
                f"logits that differ by {difference:.3g}, where {limit:.3g} "
                "is rounding"
            )
    elif not agreement >= _LEAST_AGREEMENT:
        raise ValueError(
            f"{path.name} must agree with the model on {_LEAST_AGREEMENT:.0%} "
            f"of the test pictures. Received: {agreement:.2%}; more "
            "--calibration_examples may help"
        )
    row = _row(format, path, logits, labels)
    row |= {"agreement": agreement, "largest_difference": difference}
    if format == "c_array":
        row["arena_bytes"] = classifier.arena_bytes
    return row


def _row(format, path, logits, labels):
    return {
        "format": format,
        "file": path.name,
        "bytes": loading.size(path),
        "errors": metrics.errors(logits=logits, labels=labels),
        "examples": len(labels),
    }


def _card(name, record, parts, calibration_examples):
    versions = provenance.versions(_PACKAGES)
    packages = ", ".join(
        f"{package} {version}"
        for package, version in versions["packages"].items()
        if version
    )
    shape = " x ".join(map(str, parts["train"].image_shape))
    return f"""# {name}, exported

`{record["model"]}` in other formats. All take `images`, uint8 `[batch, height,
width, channels]`, {shape}, 0 to 255, the normalisation inside, and return
`logits`: float32, or of int8 models int8 with the scale and zero point that
the file holds.

```
{table(record["formats"])}
```

Data: {parts["name"]}, the test pictures, each file run in its own runtime.
int8 was calibrated without labels, on those of {calibration_examples} training
pictures that bring it closest to the float model.

Command, at commit `{versions["commit"]}`:

    {record["command"]}

Hardware: {versions["processor"]}. Python {versions["python"]}, {packages}.
"""

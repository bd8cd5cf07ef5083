"""Exports a model to other runtimes: convert, compare, put in place."""

import logging
import pathlib
import re

import numpy as np

from kd_keras.deployment import export_records
from kd_keras.deployment import source as source_lib
from kd_keras.deployment.calibration import Calibration
from kd_keras.deployment.formats import FORMATS, operations
from kd_keras.deployment.verification import Verifier
from kd_keras.evaluation import comparison
from kd_keras.models import image_spec
from kd_keras.teachers import (
    copies,
    fingerprint,
    loading,
    preprocessing,
    wrapping,
)
from kd_keras.utils import (
    digests,
    files,
    locks,
    provenance,
    quiet,
    remote,
    remote_outputs,
    suggestions,
    tables,
)

# Files that are written beside the exported ones.
_RECORDS = ("model_card.md", export_records.NAME)
# Images that show whether a model returns logits.
_TRIED_IMAGES = 32
# Training images that files are compared on where there are no labels.
_UNLABELLED_IMAGES = 10_000
_log = logging.getLogger(__name__)


def export(
    model,
    *,
    formats,
    output,
    data,
    calibration_examples=500,
    preprocess=preprocessing.NONE,
    command="",
):
    """Exports a model to several formats; each file is compared with it.

    A file is put in place only after it ran in its own runtime and computed
    what the model does. After an error, files that passed remain, with their
    records.

    Args:
        model: path of a SavedModel or `.keras` file, also at gs://, s3:// or
            az://.
        formats: list of keys of `FORMATS`.
        output: directory of the files, `<model's name><suffix>`, and of
            `model_card.md` and `exports.json`. One at gs://, s3:// or az://
            is uploaded at the end, if there was no error.
        data: name of a dataset, `config.data` or a `datasets.Dataset`.
        calibration_examples: int, training images for the ranges of int8;
            see `Calibration`. Their labels are not used.
        preprocess: str, the preprocessing of the images before the model, as
            `load_teacher` takes it. Every exported file includes it.
        command: str, for the record.

    Returns:
        List of dicts, the model's and one for each format: `format`, `file`,
        `bytes`, `errors` (None without labels) and `examples`, `agreement`
        with the model,
        `largest_difference` of the logits, `arena_bytes` of `c_array`, and
        `images`, the type and range of the images that the model takes.

    Raises:
        FileNotFoundError, ValueError: if the model, a format or the data
            cannot be used, a package is missing, a file of the same name was
            written by another program, another process exports into the
            directory, or a file does not compute what the model does.
    """
    # Two processes would lose entries of each other's list of files.
    with (
        remote_outputs.directory(output, "--output") as place,
        locks.holding(place),
    ):
        return _export(
            model,
            formats,
            place,
            data,
            calibration_examples,
            preprocess,
            command,
        )


def _export(
    model, formats, output, data, calibration_examples, preprocess, command
):
    """`export`, by the only process that writes into the directory."""
    # The record has the URL of a remote model.
    model, place = (
        remote.url_of(model) or pathlib.Path(model),
        copies.local(model),
    )
    chosen = _check_arguments(formats, calibration_examples)
    directory = files.OutputDirectory(output)
    _check_no_model(directory.path)
    name = source_lib.name_of(model)
    written = [name + format.suffix for format in chosen]
    directory.check([*written, *_RECORDS])
    earlier = export_records.with_files(
        directory.path, export_records.read(directory.path)
    )
    export_records.check_names(
        directory.path, earlier, model=model, names=written
    )
    source_lib.check(place)
    # Before it is loaded: it may be replaced meanwhile.
    weights = fingerprint.fingerprint(place)
    reference = loading.load_classifier(place)
    parts = comparison.load_parts(data)
    examples = _compared_examples(parts)
    comparison.check_fit(
        reference,
        examples,
        labels=examples.labelled,
        class_names=parts["class_names"],
    )
    _check_preprocess(preprocess, reference, parts["train"])
    # Read here, since a copy of the model has no records.
    class_names = reference.class_names
    with quiet.without_messages():
        source = source_lib.Source(
            place,
            reference.image_spec or parts["train"].image_spec,
            preprocess,
            parts["train"].image_shape,
        )
    if source.reference != place:
        reference = loading.load_classifier(source.reference)
    source.check_logits(examples.sample(_TRIED_IMAGES))
    verifier = Verifier(reference, examples, rounds=source.rounds)
    images = parts["train"].sample(calibration_examples)
    calibration = Calibration(source, reference, images)

    common = {"images": source.image_spec.record(), "model": str(model)}
    if preprocess != preprocessing.NONE:
        common |= preprocessing.record(preprocess) | {"preprocess": preprocess}
    if class_names:
        common["class_names"] = class_names
    identity = {"weights_sha256": weights}
    rows = [verifier.model_row(place) | common | identity]
    ranges = _RANGES_OF_THE_MODEL if source.rounds else _calibrated(len(images))
    try:
        for format in chosen:
            file = name + format.suffix
            row = _write(directory, file, format, source, calibration, verifier)
            rows.append(row | common)
    finally:
        # After an error, of the files that passed.
        if len(rows) > 1:
            _check_unchanged(place, weights)
            _record(directory, rows, earlier, command, parts, ranges)
    return rows


def _write(directory, file, format, source, calibration, verifier):
    """Writes a file that computes what the model does; returns its row."""
    with (
        directory.replacing(file) as temporary,
        operations.explained(format.title),
    ):
        with quiet.without_messages():
            temporary.write_bytes(format.write(source, calibration))
        sums = {"sha256": digests.sha256_of_file(temporary)}
        row = verifier.file_row(temporary, format) | sums
    _log.info("%s: %s", format.name, directory.path / file)
    return row


def _check_unchanged(path, weights):
    """Raises a ValueError if a model has other weights than at the start."""
    found = fingerprint.fingerprint(path)
    if found != weights:
        raise ValueError(
            "a model must not change while it is exported. Received: "
            f"{path}, with weights {digests.abbreviated(weights)} at first, "
            f"now {digests.abbreviated(found)}; export it again"
        )


def _compared_examples(parts):
    """The examples that the files are compared on: `Examples`.

    Of images without labels none are held out for a test.
    """
    train = parts["train"]
    if "test" in parts or train.labelled:
        return comparison.part(parts, "test")
    count = min(len(train), _UNLABELLED_IMAGES)
    return train.subset(np.arange(count) * len(train) // count)


def _record(directory, rows, earlier, command, parts, ranges):
    """Records files that were written; see `_write_records`.

    Args:
        directory: `files.OutputDirectory`.
        rows: list of dicts, the model's and one for each new file.
        earlier: list of dicts, the rows of the record before.
        command, parts, ranges: as `_card` takes them.
    """
    model = rows[0]["model"]
    earlier = export_records.kept(earlier, rows)
    of_model = [row for row in earlier if row["model"] == model]
    record = {"model": model, "command": command, "formats": [*rows, *of_model]}
    card = _card(source_lib.name_of(model), record, parts, ranges)
    _write_records(directory, record, [*earlier, *rows], card)


def _write_records(directory, record, rows, card):
    """Writes `model_card.md`, with a section for each model, and the record."""
    path = directory.path / "model_card.md"
    before = path.read_text() if path.exists() else ""
    sections = re.split(r"(?m)^(?=# .*, exported$)", before)
    others = {row["model"] for row in rows} - {record["model"]}
    openings = [f"\n\n{_opening(model)}" for model in others]
    kept = [text for text in sections if any(x in text for x in openings)]
    directory.write_text(path.name, "\n".join([*kept, card]))
    text = export_records.text(
        rows, model=record["model"], command=record["command"]
    )
    directory.write_text(export_records.NAME, text)


def table(rows):
    """Returns the rows of `export` as text in columns."""
    shares = {
        row["examples"]: row["errors"] / row["examples"]
        for row in rows
        if row["format"] == "model" and row["errors"] is not None
    }
    header = ["format", "bytes", "test errors", "points lost", "agreement"]
    lines = [[*header, "logits differ by", "arena"]]
    for row in rows:
        # Comparable only with errors on the same examples.
        lost = "-"
        if row["examples"] in shares and row["format"] != "model":
            share = row["errors"] / row["examples"]
            lost = f"{100 * (share - shares[row['examples']]):+.2f}"
        lines.append(
            [
                row["format"],
                f"{row['bytes']:,}",
                _errors(row),
                lost,
                f"{row.get('agreement', 1):.2%}",
                f"{row.get('largest_difference', 0):.2g}",
                str(row.get("arena_bytes", "-")),
            ]
        )
    return tables.aligned(lines)


def _errors(row):
    count = "-" if row["errors"] is None else f"{row['errors']:,}"
    return f"{count} of {row['examples']:,}"


def _check_preprocess(name, reference, train):
    """Raises a ValueError for a preprocessing that model or data refuse."""
    wrapping.check_preprocess(reference, preprocessing.find(name))
    if name != preprocessing.NONE:
        image_spec.check_same(
            image_spec.UINT8,
            train.image_spec,
            model=f"--preprocess={name}",
            images="images of the data",
        )


def _check_no_model(output):
    """Raises a ValueError if `output` is a model, with a card of its own."""
    if (output / "saved_model.pb").exists():
        raise ValueError(
            "--output must be another directory than a SavedModel's. "
            f"Received: {output}"
        )


def _check_arguments(formats, calibration_examples):
    """Checks all that can be checked at once; returns the list of `Format`."""
    if not formats:
        raise ValueError(
            f"formats must be of {', '.join(FORMATS)}. Received: none"
        )
    for name in formats:
        suggestions.check_choice(name, FORMATS, what="formats")
    if len(set(formats)) < len(formats):
        raise ValueError(
            "formats must have each format once. Received: "
            f"{', '.join(formats)}"
        )
    if calibration_examples < 1:
        raise ValueError(
            "calibration_examples must be >= 1. Received: "
            f"{calibration_examples}"
        )
    chosen = [FORMATS[name] for name in formats]
    for format in chosen:
        format.check_packages()
    return chosen


_RANGES_OF_THE_MODEL = """\
The model trained with the rounding of int8: int8 models have its ranges.\
"""


def _calibrated(count):
    return f"""\
int8 models were calibrated without labels, on a part of {count}
training images: the part that brings the model closest to the float model.\
"""


def _opening(model):
    """The first words of a model's section in the card."""
    return f"{tables.markdown_text(model)} in other"


def _card(name, record, parts, ranges):
    used = [p for format in FORMATS.values() for p in format.packages]
    versions = provenance.versions(
        ("kd_keras", "tensorflow", *dict.fromkeys(used))
    )
    packages = ", ".join(
        f"{package} {version}"
        for package, version in versions["packages"].items()
        if version
    )
    shape = " x ".join(map(str, parts["train"].image_shape))
    spec = image_spec.from_record(record["formats"][0]["images"])
    quantised = ""
    if spec.dtype != "uint8":
        quantised = ", and take such images, too"
    text = tables.markdown_text
    has_errors = record["formats"][0]["errors"] is not None
    compared = "the test images" if has_errors else "images without labels"
    return f"""# {text(name)}, exported

{_opening(record["model"])} formats. All take `images`, {spec.dtype} \
`[batch, height, width, channels]`, {shape}, {spec.low:g} to {spec.high:g}, the
normalisation inside, and return `logits`: float32, or of int8 models int8
with the scale and zero point that the file holds{quantised}.

```
{table(record["formats"])}
```

Data: {text(parts["name"])}, {compared}; each file was run in its own
runtime.
{ranges}

Command, at commit `{versions["commit"]}`:

    {record["command"]}

Hardware: {versions["processor"]}. Python {versions["python"]}, {packages}.
"""

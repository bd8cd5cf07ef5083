"""The record of the exports in a directory: `exports.json`.

A directory may hold the exports of several models. Each file has a row with
the model, the measurements, and the SHA-256 of the file.
"""

import json
import pathlib

from kd_keras.utils import digests, manifests, records

NAME = "exports.json"
_ROW_FORM = {
    "format": str,
    "file": str,
    "bytes": int,
    "errors": records.OPTIONAL_NUMBER,
    "examples": int,
}
_FORM = {"formats": [_ROW_FORM]}


def read(directory):
    """Returns the rows of a directory's `exports.json`; [] without one.

    Each has the `model`, a path as it was typed, except in a record that was
    not written by `exporting.export`.

    Args:
        directory: str or path.

    Raises:
        ValueError: if the record is damaged.
    """
    path = pathlib.Path(directory) / NAME
    if not path.exists():
        return []
    fields = {
        "what": "the record of exports",
        "remedy": "remove it, and export again",
    }
    record = records.read_json(path, _FORM, **fields)
    manifests.check(directory, [NAME].__contains__, **fields)
    # Until version 0.2 all rows were of one model.
    return [{"model": record.get("model"), **row} for row in record["formats"]]


def text(rows, *, model, command):
    """Returns the text of `exports.json`.

    Args:
        rows: list of dicts, the rows of all models.
        model: str, the path of the model that was exported last.
        command: str, the command of the last export.
    """
    record = {"model": model, "command": command, "formats": rows}
    return json.dumps(record, indent=2) + "\n"


def check_names(directory, rows, *, model, names):
    """Raises a ValueError if a file of another model would be replaced.

    Args:
        directory: `pathlib.Path`.
        rows: list of dicts, as `read` returns them.
        model: path of the model that is exported.
        names: names of the files that would be written.
    """
    for row in rows:
        path = directory / row["file"]
        if (
            row["format"] != "model"
            and row["file"] in names
            and path.exists()
            and not _is_same(row["model"], model)
        ):
            raise ValueError(
                "the exports of two models must have different names. "
                f"Received: {path}, which is of {row['model']}; take another "
                "--output, or remove it"
            )


def kept(earlier, rows):
    """Returns the earlier rows that are still valid after an export.

    These are the rows of other models and, if the exported model's weights
    have not changed, the rows of its other formats.

    Args:
        earlier: list of dicts, as `read` returns them.
        rows: list of dicts, the new rows; the model's own row is the first.
    """
    model = rows[0]
    formats = {row["format"] for row in rows}
    names = {row["file"] for row in rows if row["format"] != "model"}
    is_unchanged = any(
        row["format"] == "model"
        and _is_same(row["model"], model["model"])
        and row.get("weights_sha256") == model["weights_sha256"]
        for row in earlier
    )
    left = []
    for row in earlier:
        if not _is_same(row["model"], model["model"]):
            if row["format"] == "model" or row["file"] not in names:
                left.append(row)
        elif is_unchanged and row["format"] not in formats:
            # The path may have been typed in another way.
            left.append({**row, "model": model["model"]})
    return left


def with_files(directory, rows):
    """Returns the rows of the files that exist, and of their models.

    Args:
        directory: `pathlib.Path`.
        rows: list of dicts, as `read` returns them.
    """
    there = [
        row
        for row in rows
        if row["format"] != "model" and (directory / row["file"]).exists()
    ]
    models = {row["model"] for row in there}
    return [
        row
        for row in rows
        if row in there or row["format"] == "model" and row["model"] in models
    ]


def check_file(path, row):
    """Raises a ValueError unless an exported file is as it was written.

    Args:
        path: path of the file.
        row: dict, its row in `exports.json`.
    """
    fields = {"what": "an exported file", "remedy": "export it again"}
    if not path.is_file():
        raise records.damaged(path, "it is missing", **fields)
    if row.get("sha256", "") not in ("", digests.sha256_of_file(path)):
        reason = f"its SHA-256 is not the one in {NAME}"
        raise records.damaged(path, reason, **fields)


def _is_same(model, other):
    if model is None:
        return True  # on record without its model
    model, other = pathlib.Path(model), pathlib.Path(other)
    return model == other or model.resolve() == other.resolve()

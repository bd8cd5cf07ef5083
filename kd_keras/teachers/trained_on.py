"""Finds the record of the images that a model file was trained on."""

import json
import pathlib

from kd_keras.models import image_spec


def find(path):
    """The `ImageSpec` that is recorded with a model.

    Args:
        path: path of a SavedModel with a `report.json`, of the model of a run
            directory, or of a file that `exports.json` beside it lists.

    Returns:
        `ImageSpec`, or None if nothing is on record, as with models of other
        programs and those that older versions wrote.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return image_spec.from_record(_read(path / "report.json").get("images"))
    report = _read(path.parent / "report.json")
    if path.name == f"{report.get('stage')}.keras":
        return image_spec.from_record(report.get("images"))
    rows = _read(path.parent / "exports.json").get("formats")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and row.get("file") == path.name:
            return image_spec.from_record(row.get("images"))
    return None


def _read(path):
    """The object in a JSON file; empty if there is none.

    Damaged records are reported where they are used for more than a check.
    """
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}

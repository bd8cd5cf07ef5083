"""Finds the record of the data that a model file was trained on."""

import json

from kd_keras.models import image_spec
from kd_keras.teachers import copies


def images(path):
    """The `ImageSpec` that is recorded with a model.

    Args:
        path: path of a SavedModel with a `report.json`, of the model of a run
            directory, or of a file that `exports.json` beside it lists.

    Returns:
        `ImageSpec`, or None if nothing is on record, as with models of other
        programs and of older versions.
    """
    return image_spec.from_record(_record(path).get("images"))


def class_names(path):
    """The names of the classes that are recorded with a model.

    Args:
        path: as in `images`.

    Returns:
        List of str in the order of the logits, or None if nothing is on
        record.
    """
    names = _record(path).get("class_names")
    is_list = isinstance(names, list) and names
    return [str(name) for name in names] if is_list else None


def _record(path):
    """The entries about a model: a dict, empty if there are none."""
    path = copies.local(path)
    if path.is_dir():
        return _read(path / "report.json")
    report = _read(path.parent / "report.json")
    if path.name == f"{report.get('stage')}.keras":
        return report
    rows = _read(path.parent / "exports.json").get("formats")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and row.get("file") == path.name:
            return row
    return {}


def _read(path):
    """The object in a JSON file; empty if there is none.

    Damaged records are reported where they are used for more than a check.
    """
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}

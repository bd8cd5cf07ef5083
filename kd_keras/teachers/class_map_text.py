"""Parses class maps: a list on the command line, or a JSON file."""

import json
import pathlib

from kd_keras.models import class_names
from kd_keras.utils import remote_copies

_FORM = (
    "a comma-separated list such as `0,3,5` or `cat,dog+wolf`, or a .json file "
    'with a list or with classes such as {"cat": ["tabby", 281]}'
)


def is_file(text):
    """Whether a class map is given as a file."""
    return text.strip().endswith(".json")


def parse(text):
    """Parses a class map.

    Args:
        text: str, as `class_map.find` takes it, not empty.

    Returns:
        `(groups, names)`: see `class_map.ClassMap`.

    Raises:
        ValueError: if it is no such map, or the file cannot be read.
    """
    if is_file(text):
        return _from_json(text)
    groups = tuple(
        tuple(_entry(part.strip(), text) for part in item.split("+"))
        for item in text.split(",")
    )
    return groups, None


def _entry(part, text):
    if not part:
        raise ValueError(f"teacher.classes must be {_FORM}. Received: {text!r}")
    return int(part) if part.isdecimal() else part


def _from_json(path):
    local = pathlib.Path(remote_copies.local(path, "teacher.classes"))
    try:
        value = json.loads(
            local.read_text(encoding="utf-8"),
            object_pairs_hook=_without_repeats,
        )
    except OSError as error:
        raise ValueError(
            f"teacher.classes must be {_FORM}. Received: {path}, which cannot "
            f"be read ({error.strerror})"
        ) from error
    except (RecursionError, ValueError) as error:
        raise ValueError(
            f"teacher.classes must be {_FORM}. Received: {path}, which is not "
            f"such JSON ({error})"
        ) from error
    is_named = isinstance(value, dict)
    items = list(value.values()) if is_named else value
    if not isinstance(items, list) or not items:
        raise ValueError(f"teacher.classes must be {_FORM}. Received: {path}")
    class_names.check_printable(value if is_named else (), place=path)
    groups = tuple(_group(item, path) for item in items)
    return groups, tuple(value) if is_named else None


def _without_repeats(pairs):
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is there twice")
    return dict(pairs)


def _group(item, path):
    entries = item if isinstance(item, list) else [item]
    for entry in entries:
        is_index = type(entry) is int and entry >= 0
        if not is_index and not (isinstance(entry, str) and entry):
            raise ValueError(
                "teacher.classes: a class must be made of indices from 0 (as "
                f"numbers) and names (as strings). Received: {entry!r} in "
                f"{path}"
            )
    if not entries:
        raise ValueError(
            "teacher.classes: a class must be made of one of the teacher's "
            f"classes or more. Received: none for a class in {path}"
        )
    return tuple(entries)

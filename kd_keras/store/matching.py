"""Matches predictions of a file to the examples of a dataset."""

import numpy as np

from kd_keras.data import datasets, listed_ids
from kd_keras.data.sources import file_reader


def rows_of_parts(file, parts):
    """Finds the rows of a file that belong to the examples of each part.

    Args:
        file: `prediction_files.PredictionFile`.
        parts: dict of `train` and perhaps `validation` and `test` to their
            examples.

    Returns:
        Dict of the parts with predictions to `(table, rows)`: `Table`, and
        int64 array `(n,)` in the order of the examples.
    """
    matched = [
        (table, _matched(table, parts, file.path)) for table in file.tables
    ]
    found = {}
    for name, examples in parts.items():
        for table, by_reader in _candidates(matched, name, parts):
            ids, rows = by_reader.get(examples.reader, ((), ()))
            places = np.searchsorted(ids, examples.ids)
            places = np.minimum(places, len(ids) - 1)
            missing = (
                ids[places] != examples.ids if len(ids) else examples.ids >= 0
            )
            if missing.all():
                continue
            if missing.any():
                raise _missing(name, examples, missing, file.path)
            found[name] = table, rows[places]
            break
    if "train" not in found:
        train = parts["train"]
        raise _missing("train", train, np.ones(len(train), bool), file.path)
    return found


def _candidates(matched, name, parts):
    """The tables that may have predictions of a part, the best ones first."""
    same = parts[name].reader is parts["train"].reader
    order = [name, "", *(["train"] if same else [])]
    return [
        (table, by_reader)
        for part in order
        for table, by_reader in matched
        if table.part == part
        # Validation and test images are stored without augmentation.
        and (
            name == "train"
            or table.part == name
            or all(array.ndim == 2 for array in table.arrays.values())
        )
    ]


def _missing(name, examples, missing, path):
    first = named(examples.reader, examples.ids[missing.argmax()])
    return ValueError(
        f"every {name} image must have a prediction. Received: {path} without "
        f"{missing.sum():,} of {len(examples):,}, the first one {first}"
    )


def _matched(table, parts, path):
    """The ids of a table's predictions, for each reader that it is about.

    Returns:
        Dict of readers to `(ids, rows)`, int64 arrays, the ids in order.
    """
    names = isinstance(table.keys, list)
    if table.part:
        about = [parts[table.part].reader] if table.part in parts else []
    elif names:
        about = list(dict.fromkeys(part.reader for part in parts.values()))
    else:
        about = [parts["train"].reader]
    if not about:
        return {}
    ids = [_ids(table, reader, path) for reader in about]
    known = np.sum([x >= 0 for x in ids], axis=0)
    for faulty, fault in (
        (known == 0, "of no image of the data"),
        (known > 1, "that fit several images"),
    ):
        if faulty.any():
            raise ValueError(
                "predictions must be of the images of the data. Received: "
                f"{path} with {faulty.sum():,} {fault}, the first one "
                f"{_key(table, faulty.argmax())!r}"
            )
    return {
        reader: _in_order(table, found, path)
        for reader, found in zip(about, ids)
    }


def _key(table, place):
    key = table.keys[place]
    return key if isinstance(key, str) else int(key)


def _ids(table, reader, path):
    """The id of a reader's image for each prediction, -1 for other images."""
    if table.keys is None:
        in_files = isinstance(_original(reader), file_reader.FileReader)
        if in_files or len(table.rows) != len(reader.ids):
            raise ValueError(
                "predictions without ids must be one for each image of the "
                f"{table.part or 'train'} set, in their order, and of images "
                "in files have their names. Received: "
                f"{path} with {len(table.rows):,} for {len(reader.ids):,} "
                f"images{' in files' if in_files else ''}"
            )
        return np.asarray(reader.ids)
    examples = datasets.Examples(reader)
    if isinstance(table.keys, list) and not hasattr(_original(reader), "name"):
        raise ValueError(
            "predictions of images without file names must have ids, whole "
            f"numbers. Received: {path} with {table.keys[0]!r}"
        )
    places = listed_ids.places(examples, table.keys)
    return np.where(places >= 0, examples.ids[places], -1)


def _in_order(table, ids, path):
    """The known ids in order, and their rows."""
    chosen = np.flatnonzero(ids >= 0)
    order = chosen[np.argsort(ids[chosen], kind="stable")]
    ordered = ids[order]
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(twice):
        raise ValueError(
            "each image must have one prediction. Received: "
            f"{path} with {len(twice):,} again, the first one of "
            f"{_key(table, order[twice[0] + 1])!r}"
        )
    return ordered, table.rows[order]


def _original(reader):
    return getattr(reader, "original", None) or reader


def named(reader, example_id):
    """Names an example for a message: its file, or its id.

    Args:
        reader: `readers.Reader`.
        example_id: int.
    """
    original = _original(reader)
    if isinstance(original, file_reader.FileReader):
        return original.name(example_id)
    return f"id {example_id}"

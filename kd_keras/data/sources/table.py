"""Tables of image files: CSV, TSV or Parquet, with a row for each image."""

import os
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kd_keras.data import scanning
from kd_keras.data.sources import columns as columns_lib
from kd_keras.data.sources import copied, file_sets
from kd_keras.models import class_names as class_name_checks
from kd_keras.utils import digests, files, path_lists

_CHUNK = 10_000


def load(fields):
    """Loads the images that a table lists.

    Args:
        fields: `config.data`. `data_dir` is the table, whose paths are
            relative to its folder. `image_column`, `label_column` and
            `split_column` name its columns; by default they are recognised.
            See `file_sets.load` for the others.

    Returns:
        `datasets.Dataset`.

    Raises:
        ValueError: if the table cannot be read, lacks a column or a value,
            lists a file twice, or as `file_sets.load`.
    """
    table = pathlib.Path(copied.file_with_folder(fields.data_dir)).expanduser()
    columns = columns_lib.read(table, fields)
    paths = _paths(columns["image"], table)
    parts = _rows_of_parts(columns.get("split"), len(paths), table)
    labels = columns.get("label")
    class_names = [] if labels is None else _class_names(labels, parts, table)
    groups = _groups(labels, class_names, len(paths))
    listings = {
        part: scanning.Listing(
            paths=paths.select(rows),
            groups=groups[rows],
            place=str(table),
            all_images=True,
        )
        for part, rows in parts.items()
    }
    scans = file_sets.scan(listings, fields)
    return file_sets.load(
        scans, class_names, fields, name=table.stem, source=f"table {table}"
    )


def _paths(column, table):
    """The absolute paths of the files: `path_lists.PathList`.

    Raises:
        ValueError: if a file is listed twice.
    """
    folder = os.path.abspath(table.parent)
    paths = path_lists.PathList.of(
        os.path.join(folder, name)
        for start in range(0, len(column), _CHUNK)
        for name in column[start : start + _CHUNK].to_pylist()
    )
    keys = np.array(
        [
            digests.short_key(path)
            for start in range(0, len(paths), _CHUNK)
            for path in paths.rows(start, start + _CHUNK)
        ],
        "S16",
    )
    _, first = np.unique(keys, return_index=True)
    twice = np.setdiff1d(np.arange(len(keys)), first)
    if len(twice):
        raise ValueError(
            f"a table must list each file once. Received: {table} with "
            f"{len(twice):,} files listed again: "
            + files.named(paths[int(row)] for row in twice)
        )
    return paths


def _rows_of_parts(column, count, table):
    """Which rows are in each part: dict to bool arrays `(n,)`."""
    if column is None:
        return {"train": np.ones(count, bool)}
    values = pc.utf8_lower(column)
    unknown = sorted(set(pc.unique(values).to_pylist()) - set(file_sets.PARTS))
    if unknown:
        raise ValueError(
            f"splits must be {', '.join(file_sets.PARTS)}. Received: "
            f"{files.named(unknown)} in {table}; data.split_column names "
            "another column"
        )
    parts = np.array([file_sets.PARTS[v] for v in values.to_pylist()])
    rows = {
        part: parts == part for part in dict.fromkeys(file_sets.PARTS.values())
    }
    if not rows["train"].any():
        raise ValueError(
            "a table must have training images. Received: "
            f"{table} with none in the split train"
        )
    return {part: rows for part, rows in rows.items() if rows.any()}


def _class_names(labels, parts, table):
    """The classes of the training images: list of str, numbers by value.

    Raises:
        ValueError: if there is one class only, another part has more, or a
            name cannot be shown.
    """

    def names(rows):
        return set(pc.unique(labels.filter(pa.array(rows))).to_pylist())

    known = names(parts["train"])
    class_name_checks.check_printable(known, place=table)
    for part, rows in parts.items():
        if unknown := sorted(names(rows) - known):
            raise ValueError(
                f"{part} images must have the classes of the training images. "
                f"Received: {files.named(unknown)} in {table}, "
                f"{files.named(sorted(known))} to train"
            )
    if "-1" in known:
        raise ValueError(
            "labels must be classes; -1 stands for a label that is withheld: "
            f"leave these rows out. Received: -1 in {table}"
        )
    if len(known) == 1:
        raise ValueError(
            "there must be two classes or more; data.labels=none takes the "
            f"images without labels. Received: {files.named(known)} in {table}"
        )
    numbers = all(name.isdecimal() for name in known)
    return sorted(known, key=(lambda n: (int(n), n)) if numbers else None)


def _groups(labels, class_names, count):
    """The class of each row: int32 array `(n,)`, -1 without labels."""
    if labels is None:
        return np.full(count, -1, np.int32)
    numbers = pc.index_in(labels, pa.array(class_names, pa.large_string()))
    return numbers.to_numpy(zero_copy_only=False).astype(np.int32)

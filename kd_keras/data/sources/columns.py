"""Reads columns of a table: CSV, TSV or Parquet."""

import csv
import dataclasses
import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from kd_keras.utils import files, suggestions

_log = logging.getLogger(__name__)

# Names of columns that are recognised, in lower case, by preference.
_IMAGE_COLUMNS = (
    *("path", "file", "file_name", "filename", "file_path", "filepath"),
    *("image", "image_path", "image_file", "image_name", "img", "img_path"),
)
_LABEL_COLUMNS = (
    *("label", "class", "class_name", "label_name", "category", "target"),
    *("class_id", "label_id", "labels", "y"),
)
_SPLIT_COLUMNS = ("split", "part", "subset", "partition", "set")


def read(path, fields):
    """Reads the columns that images, labels and splits are in.

    Args:
        path: path of a CSV, TSV or Parquet file.
        fields: `config.data`, with the names of columns.

    Returns:
        Dict of `image` and, as far as they exist, `label` and `split` to
        arrays of text, `pyarrow.LargeStringArray`, without gaps.

    Raises:
        ValueError: if the file cannot be read, or lacks a column or a value.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None or not path.is_file():
        raise ValueError(
            "data.data_dir must be a table of images, a file that ends in "
            f"{', '.join(_KINDS)}; a folder is data.name=folder. Received: "
            f"{fields.data_dir!r}"
        )
    names_of, read = kind
    try:
        names = names_of(path)
        if not names:
            raise pa.ArrowInvalid("an empty file")
        chosen = _choose_columns(names, fields, path)
        table = read(path, sorted(set(chosen.values())))
        columns = {
            role: _as_text(table.column(name), name, role)
            for role, name in chosen.items()
        }
    except UnicodeDecodeError as error:
        raise ValueError(
            f"a table must be in UTF-8. Received: {path}: {error}"
        ) from error
    except (pa.ArrowException, csv.Error) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(
            f"a table must be complete. Received: {path}: {first}"
        ) from error
    if not len(columns["image"]):
        raise ValueError(
            f"a table must list images. Received: {path} without rows"
        )
    for role, column in columns.items():
        _check_no_gaps(column, chosen[role], path)
    return columns


@dataclasses.dataclass(frozen=True)
class _Header:
    """The first line of a CSV or TSV file that is not blank.

    Attributes:
        names: list of str, the names of the columns; empty without a line.
        lines: int, how many lines of the file end with it.
        delimiter: str, what separates the columns.
    """

    names: list
    lines: int
    delimiter: str


def _header(path):
    delimiter = _delimiter(path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        names = next(filter(_is_filled, reader), [])
        return _Header([x.strip() for x in names], reader.line_num, delimiter)


def _is_filled(row):
    return any(value.strip() for value in row)


def _csv_names(path):
    return _header(path).names


def _delimiter(path):
    if path.suffix.lower() == ".tsv":
        return "\t"
    with open(path, encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip(" \t\r\n,;")), "")
    # Spreadsheets write semicolons where the comma separates decimals.
    return next((mark for mark in ",;\t" if mark in first), ",")


def _read_csv(path, chosen):
    header = _header(path)
    try:
        table = _read_rows(path, header, chosen)
    except pa.ArrowInvalid:
        _check_widths(path, header)
        raise
    # The spaces in `a.jpg , cat` are no part of a path.
    return pa.table(
        {name: pc.utf8_trim_whitespace(table.column(name)) for name in chosen}
    )


def _read_rows(path, header, chosen):
    return pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(
            column_names=header.names, skip_rows=header.lines
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=header.delimiter),
        convert_options=pyarrow.csv.ConvertOptions(
            # A name such as 0001 would lose its zeros as a number.
            column_types={name: pa.string() for name in chosen},
            include_columns=chosen,
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


def _check_widths(path, header):
    """Raises a ValueError that names the first row of another width.

    Arrow names no line, because its threads read pieces of the file.
    """
    width = len(header.names)
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=header.delimiter)
        line = 1
        for row in reader:
            if row and line > header.lines and len(row) != width:
                raise ValueError(
                    "every row of a table must have a value for each column, "
                    f"in quotes if it has a {header.delimiter!r}. Received: "
                    f"{path} with {width} columns, {len(row)} in line {line}"
                )
            line = reader.line_num + 1


def _parquet_names(path):
    return pyarrow.parquet.read_schema(path).names


def _read_parquet(path, chosen):
    return pyarrow.parquet.read_table(path, columns=chosen)


# By suffix: functions that read the names of the columns, and some columns.
_KINDS = {
    ".csv": (_csv_names, _read_csv),
    ".tsv": (_csv_names, _read_csv),
    ".parquet": (_parquet_names, _read_parquet),
}


def _choose_columns(names, fields, path):
    """Finds the columns to read: dict of `image` and others to names."""
    wanted = {
        "image": (fields.image_column, _IMAGE_COLUMNS),
        "label": (fields.label_column, _LABEL_COLUMNS),
        "split": (fields.split_column, _SPLIT_COLUMNS),
    }
    if fields.labels == "none":
        del wanted["label"]
    chosen = {}
    for role, (name, recognised) in wanted.items():
        if name and name not in names:
            raise ValueError(
                f"data.{role}_column must be a column of the table. Received: "
                f"{name!r}, {path} with {files.named(names)}"
                + suggestions.did_you_mean(name, names)
            )
        name = name or _recognise(names, recognised)
        if name:
            chosen[role] = name
    _check_chosen(chosen, names, fields, path)
    _log.info(
        "%s: columns %s",
        path,
        ", ".join(f"{name} ({role})" for role, name in chosen.items()),
    )
    return chosen


def _recognise(names, recognised):
    by_name = {name.lower(): name for name in reversed(names)}
    return next((by_name[n] for n in recognised if n in by_name), None)


def _check_chosen(chosen, names, fields, path):
    """Raises a ValueError if images or labels may be in another column."""
    if "image" not in chosen:
        raise ValueError(
            "a table must have a column of paths, such as 'path', or "
            "data.image_column must name it. Received: "
            f"{path} with {files.named(names)}"
        )
    twice = [name for name in chosen.values() if names.count(name) > 1]
    if twice:
        raise ValueError(
            "a column that is read must occur once in a table. Received: "
            f"{twice[0]!r} {names.count(twice[0])} times in {path}"
        )
    others = [name for name in names if name not in chosen.values()]
    if "label" not in chosen and fields.labels != "none" and others:
        raise ValueError(
            "data.label_column must name the column of labels, or "
            f"data.labels be none. Received: {path} with {files.named(names)}"
        )
    if len(set(chosen.values())) < len(chosen):
        raise ValueError(
            "images, labels and splits must be in columns of their own. "
            f"Received: {chosen} of {path}"
        )


def _as_text(column, name, role):
    """A column of a table as one array of str."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_floating(kind):
        # pandas stores whole numbers as floats where one is missing.
        column = column.cast(pa.int64())
    elif not (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
    ):
        raise pa.ArrowTypeError(
            f"column {name!r} must be of text or whole numbers, and is of "
            f"{kind}"
        )
    text = column.cast(pa.large_string())
    text = pa.concat_arrays([*text.chunks, pa.array([], pa.large_string())])
    if role != "image":
        text = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)


def _check_no_gaps(column, name, path):
    rows = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
    if len(rows):
        raise ValueError(
            f"every row of a table must have a value of {name!r}. Received: "
            f"{path} with none in {len(rows):,} rows, of the images numbered "
            + files.named(str(row + 1) for row in rows)
        )

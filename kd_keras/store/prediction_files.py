"""Reads predictions that were made elsewhere: .npy, .npz and Parquet files.

Arrays are mapped into memory. Arrays of a .npz or Parquet file are first copied
to a folder, piece by piece, since these files cannot be read in any order.
"""

import dataclasses
import pathlib
import re
import shutil
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from kd_keras.data.sources import file_sets
from kd_keras.models import class_names as class_name_checks
from kd_keras.utils import files, suggestions

# Names of arrays and columns, in lower case.
_KEYS = (
    *("id", "ids", "example_id", "example_ids", "name", "names"),
    *("path", "paths", "file", "files", "file_name", "file_names"),
    *("filename", "filenames", "file_path", "filepath", "image"),
)
_SPLITS = ("split", "splits", "part", "parts", "subset", "partition")
_CLASS_NAMES = ("class_names", "classes")
# Columns that are no class, where each class has a column.
_NO_CLASS = ("label", "labels", "target", "y")
_NUMBERED = re.compile(r"(\D*)(\d+)")
# The name of the only array of a file without names.
UNNAMED = "predictions"
_ROWS = 4096


@dataclasses.dataclass(frozen=True)
class Table:
    """Predictions of some examples.

    Attributes:
        part: `train`, `validation` or `test`; empty if the file names none.
        keys: int64 array `(n,)` of ids, list of str of file names, or None:
            the predictions are in the order of the ids.
        rows: int64 array `(n,)`, the rows of these examples in the arrays.
        arrays: dict of names to arrays `(rows, width)` or `(views, rows,
            width)`, mapped into memory.
    """

    part: str
    keys: np.ndarray | list | None
    rows: np.ndarray
    arrays: dict


@dataclasses.dataclass(frozen=True)
class PredictionFile:
    """A file of predictions.

    Attributes:
        path: `pathlib.Path`.
        tables: list of `Table`.
        class_names: list of str in the order of the predictions, or None.
    """

    path: pathlib.Path
    tables: list
    class_names: list | None


def check_suffix(path):
    """Raises a ValueError for a file of a kind that cannot be read.

    Args:
        path: str or path, which need not exist.
    """
    suggestions.check_choice(
        pathlib.Path(path).suffix.lower(), _READERS, what="the suffix of --from"
    )


def read(path, folder):
    """Reads the keys of a file of predictions, and maps its arrays.

    Args:
        path: str or path.
        folder: path of an empty directory for copies of arrays, which must
            exist as long as they are used.

    Returns:
        `PredictionFile`.

    Raises:
        ValueError: if the file cannot be read, holds objects instead of
            numbers, or lacks predictions.
    """
    path = pathlib.Path(path).expanduser()
    check_suffix(path)
    try:
        found = _READERS[path.suffix.lower()](path, pathlib.Path(folder))
    # Damaged bytes raise errors of many kinds.
    except (
        *(OSError, ValueError, EOFError, KeyError, NotImplementedError),
        *(zipfile.BadZipFile, pa.ArrowException),
    ) as error:
        # Without NumPy's second sentence, on how to load objects unsafely.
        reason = str(getattr(error, "strerror", None) or error).split(". ")[0]
        raise ValueError(
            "--from must be a readable file of numbers and text, without "
            f"Python objects. Received: {path}: {' '.join(reason.split())}"
        ) from error
    if not found.tables:
        raise ValueError(
            "--from must hold predictions: an array or column of numbers "
            f"named logits, probabilities or features. Received: {path}"
        )
    class_name_checks.check_printable(found.class_names or (), place=path)
    return found


def _read_npy(path, folder):
    del folder
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not _is_prediction(array):
        raise ValueError(
            "predictions must be numbers (n, width) or (views, n, width), not "
            f"{array.shape} of {array.dtype}"
        )
    return PredictionFile(path, _tables("", None, None, {UNNAMED: array}), None)


def _read_npz(path, folder):
    parts, class_names = {}, None
    with zipfile.ZipFile(path) as archive:
        for number, member in enumerate(archive.namelist()):
            part, name = _part_and_name(member.removesuffix(".npy"))
            with archive.open(member) as source:
                copy = folder / f"{number}.npy"
                with open(copy, "wb") as target:
                    shutil.copyfileobj(source, target)
            array = np.load(copy, mmap_mode="r", allow_pickle=False)
            if name in _CLASS_NAMES:
                class_names = [str(x) for x in np.atleast_1d(array)]
            else:
                parts.setdefault(part, {})[name] = array
    tables = []
    for part, arrays in parts.items():
        keys = _only(arrays, _KEYS)
        splits = _only(arrays, _SPLITS)
        # Other arrays may be labels, for instance.
        arrays = {k: x for k, x in arrays.items() if _is_prediction(x)}
        if arrays:
            tables += _tables(part, _as_keys(keys), splits, arrays)
    return PredictionFile(path, tables, class_names)


def _part_and_name(name):
    """`test_logits` -> `("test", "logits")`; the part is empty without one."""
    first, _, rest = name.lower().partition("_")
    if first not in file_sets.PARTS:
        return "", name if name.lower() not in _KNOWN else name.lower()
    return file_sets.PARTS[first], rest or UNNAMED


def _only(arrays, names):
    """Removes and returns the array with one of some names; None if none."""
    found = [name for name in arrays if name in names]
    if len(found) > 1:
        raise ValueError(
            f"it has several arrays for one purpose: {', '.join(found)}"
        )
    return np.asarray(arrays.pop(found[0])) if found else None


def _as_keys(keys):
    """Ids as an int64 array, file names as a list of str."""
    if keys is None or isinstance(keys, list):
        return keys
    if keys.ndim != 1 or keys.dtype.kind not in "iuUS":
        raise ValueError(
            "ids must be whole numbers (n,), and file names text (n,), not "
            f"{keys.shape} of {keys.dtype}"
        )
    if keys.dtype.kind in "iu":
        return keys.astype("int64")
    return [x.decode() if isinstance(x, bytes) else str(x) for x in keys]


def _is_prediction(array):
    return array.dtype.kind in "fiu" and array.ndim in (2, 3) and array.size


def _tables(part, keys, splits, arrays):
    """The tables of some arrays, one for each split.

    Args:
        part: str, the part that the names of the arrays tell.
        keys: as of `Table`, for all rows.
        splits: array of str `(n,)`, the part of each row, or None.
        arrays: dict; see `Table`.
    """
    counts = {name: array.shape[-2] for name, array in arrays.items()}
    for what, column in (("ids", keys), ("splits", splits)):
        if column is not None:
            counts[what] = len(column)
    if len(set(counts.values())) > 1:
        text = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        raise ValueError(f"it has different numbers of examples: {text}")
    rows = np.arange(next(iter(counts.values())))
    if splits is None:
        return [Table(part, keys, rows, arrays)]
    splits = np.char.lower(np.asarray(splits).astype("U"))
    unknown = sorted(set(splits.tolist()) - set(file_sets.PARTS))
    if unknown:
        raise ValueError(
            f"splits must be {', '.join(file_sets.PARTS)}, not "
            f"{files.named(unknown)}"
        )
    named = np.array([file_sets.PARTS[split] for split in splits.tolist()])
    return [
        Table(name, _taken(keys, rows[named == name]), chosen, arrays)
        for name in dict.fromkeys(named.tolist())
        for chosen in [rows[named == name]]
    ]


def _taken(keys, rows):
    if isinstance(keys, list):
        return [keys[row] for row in rows]
    return None if keys is None else keys[rows]


def _read_parquet(path, folder):
    with pyarrow.parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        by_name = {name.lower(): name for name in reversed(schema.names)}
        keys, splits = (
            _column(file, by_name, names) for names in (_KEYS, _SPLITS)
        )
        used = {by_name[n] for n in (*_KEYS, *_SPLITS) if n in by_name}
        rest = [field for field in schema if field.name not in used]
        lists = [field.name for field in rest if _is_list(field.type)]
        if lists:
            arrays = {
                name: _copied(file, [name], folder / f"{i}.npy")
                for i, name in enumerate(lists)
            }
            tables = _tables("", _as_keys(keys), splits, arrays)
            return PredictionFile(path, tables, None)
        wide = [
            field.name
            for field in rest
            if _is_number(field.type)
            and field.name.lower() not in _NO_CLASS
            and not field.name.startswith("__index_level_")
        ]
        if not wide:
            return PredictionFile(path, [], None)
        class_names = _class_names(wide)
        arrays = {UNNAMED: _copied(file, wide, folder / "wide.npy")}
        tables = _tables("", _as_keys(keys), splits, arrays)
        return PredictionFile(path, tables, class_names)


def _class_names(columns):
    """The classes of columns; None if the columns have numbers only."""
    numbered = [_NUMBERED.fullmatch(name) for name in columns]
    if not all(numbered) or len({match[1] for match in numbered}) > 1:
        return columns
    numbers = [int(match[2]) for match in numbered]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise ValueError(
            "columns with numbers must be in their order, not "
            f"{files.named(columns)}"
        )
    return None


def _is_list(kind):
    return (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
    ) and _is_number(kind.value_type)


def _is_number(kind):
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _column(file, by_name, names):
    """The column with one of some names as an array; None without any."""
    found = [by_name[name] for name in names if name in by_name]
    if not found:
        return None
    if len(found) > 1:
        raise ValueError(
            f"it has several columns for one purpose: {', '.join(found)}"
        )
    column = file.read(columns=found).column(0)
    if column.null_count:
        raise ValueError(
            f"column {found[0]!r} lacks {column.null_count:,} values"
        )
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if _is_number(column.type):
        return column.to_numpy()
    return column.cast(pa.large_string()).to_pylist()


def _copied(file, names, path):
    """Copies columns to an array: a column of lists, or one for each number.

    Args:
        file: `pyarrow.parquet.ParquetFile`.
        names: list of str.
        path: path of the new .npy file.

    Returns:
        float16 or float32 array `(n, width)`, mapped into memory.
    """
    array, start = None, 0
    for batch in file.iter_batches(_ROWS, columns=names):
        for name, column in zip(names, batch.columns):
            if column.null_count:
                raise ValueError(
                    f"column {name!r} lacks values, the first one of row "
                    f"{start + column.is_null().index(True).as_py()}"
                )
        rows = _as_matrix(batch.columns, names[0])
        if array is None:
            shape = (file.metadata.num_rows, rows.shape[1])
            dtype = "float16" if rows.dtype == "float16" else "float32"
            array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        if rows.shape[1] != array.shape[1]:
            raise ValueError(
                f"column {names[0]!r} has lists of {array.shape[1]} and of "
                f"{rows.shape[1]} numbers"
            )
        array[start : start + len(rows)] = rows
        start += len(rows)
    if array is None:
        raise ValueError("it has no rows")
    return array


def _as_matrix(columns, name):
    """Columns of some rows as one array `(n, width)`."""
    if not _is_list(columns[0].type):
        return np.stack([column.to_numpy() for column in columns], axis=-1)
    lengths = pc.unique(pc.list_value_length(columns[0])).to_pylist()
    if len(lengths) > 1:
        raise ValueError(
            f"column {name!r} has lists of {lengths[0]} and of {lengths[1]} "
            "numbers"
        )
    values = columns[0].flatten().to_numpy(zero_copy_only=False)
    return values.reshape(-1, lengths[0])


_READERS = {".npy": _read_npy, ".npz": _read_npz, ".parquet": _read_parquet}
_KNOWN = (*_KEYS, *_SPLITS, *_CLASS_NAMES)

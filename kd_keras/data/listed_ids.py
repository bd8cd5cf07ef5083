"""Finds the examples that a file lists, by id or by file name."""

import csv
import pathlib

import numpy as np

from kd_keras.utils import digests, remote_copies, suggestions


def positions(examples, path, *, field):
    """The positions of the examples that a file lists.

    Args:
        examples: `Examples`.
        path: str or path of a `.txt` file with an id or a file name a line; a
            `.csv` file with them in its first column, with or without a
            header; or a `.npy` file of an integer array `(n,)`.
        field: str, the option that gave the file, for errors.

    Returns:
        int64 array `(n,)`, in the order of the file.

    Raises:
        ValueError: if the file cannot be read, lists nothing or one example
            twice, an example is unknown, or a listed name belongs to several.
    """
    entries = _read(pathlib.Path(remote_copies.local(path, field)), field)
    if not entries:
        raise ValueError(
            f"{field} must list an example at least. Received: {path}, empty"
        )
    if all(map(_is_number, entries)):
        found = places(examples, np.array(entries).astype("int64"))
    else:
        found = places(examples, entries)
    unknown = np.flatnonzero(found < 0)
    if len(unknown):
        raise ValueError(
            f"{field} must list training examples. Received: {path} with "
            f"{entries[unknown[0]]} and {len(unknown) - 1} more that are none"
        )
    _, first = np.unique(found, return_index=True)
    repeated = np.setdiff1d(np.arange(len(found)), first)
    if len(repeated):
        raise ValueError(
            f"{field} must list an example once. Received: {path} with "
            f"{entries[repeated[0]]} twice"
        )
    return found


def places(examples, wanted):
    """The positions of examples with some ids or file names.

    Args:
        examples: `Examples`.
        wanted: int array `(n,)` of ids, or list of str: whole paths, or their
            ends from a `/` on.

    Returns:
        int64 array `(n,)`, -1 for unknown ids and names.

    Raises:
        ValueError: if several examples have a wanted name, or the examples
            have no names.
    """
    if isinstance(wanted, np.ndarray) and wanted.dtype.kind in "iu":
        return _lookup(examples.ids, wanted)[0]
    reader = getattr(examples.reader, "original", None) or examples.reader
    if not hasattr(reader, "name"):
        raise ValueError(
            "examples have file names in a folder or a table of files; others "
            f"are listed by their ids. Received: {wanted[0]!r}"
        )
    found = np.full(len(wanted), -1)
    # Compared by digests: a million names would take much memory as text.
    lengths = np.array([_num_parts(name) for name in wanted])
    for length in np.unique(lengths):
        chosen = np.flatnonzero(lengths == length)
        keys = [_key(reader.name(i), length) for i in examples.ids]
        found[chosen], several = _lookup(
            np.array(keys, "uint64"),
            np.array([_key(wanted[i], length) for i in chosen], "uint64"),
        )
        if several.any():
            name = wanted[chosen[several.argmax()]]
            raise ValueError(
                "a file name must be that of one example; write more of its "
                f"path. Received: {name}, that of several"
            )
    return found


def _lookup(keys, wanted):
    """Positions of some keys, -1 without any, and whether there are several."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    start, stop = (
        np.searchsorted(ordered, wanted, side=side)
        for side in ("left", "right")
    )
    found = order[np.minimum(start, len(order) - 1)]
    return np.where(stop > start, found, -1), stop - start > 1


def _num_parts(name):
    return len(pathlib.PurePath(name).parts)


def _key(name, length):
    """64 bits of the digest of the last parts of a path."""
    parts = pathlib.PurePath(name).parts[-length:]
    return int(digests.sha256_of_text("/".join(parts))[:16], 16)


def _read(path, field):
    """The entries of a file: list of str."""
    suffix = path.suffix.lower()
    suggestions.check_choice(suffix, _READERS, what=f"the suffix of {field}")
    try:
        return _READERS[suffix](path)
    # A damaged .npy file raises errors of several kinds.
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"{field} must be a readable file of ids or file names. Received: "
            f"{path}: {reason}"
        ) from error


def _read_text(path):
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _read_csv(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        column = [row[0].strip() for row in csv.reader(file) if row]
    # The first entry is a header if it is no number above a number, or has no
    # suffix above a file name with one.
    if len(column) > 1 and (
        _is_number(column[1]) > _is_number(column[0])
        or bool(pathlib.Path(column[1]).suffix)
        > bool(pathlib.Path(column[0]).suffix)
    ):
        column = column[1:]
    return [entry for entry in column if entry]


def _read_array(path):
    array = np.load(path, allow_pickle=False)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(
            f"an integer array (n,) is needed, not {array.shape} of "
            f"{array.dtype}"
        )
    return [str(number) for number in array]


_READERS = {".txt": _read_text, ".csv": _read_csv, ".npy": _read_array}


def _is_number(text):
    return text.isascii() and text.isdigit()

"""The manifest of a store: its contents, its files, and checks of both."""

import contextlib
import os
import pathlib
import re
from concurrent import futures

import numpy as np

from kd_keras import config as config_lib
from kd_keras.models import class_names
from kd_keras.store import differences, layout, task_records
from kd_keras.store import ids as ids_lib
from kd_keras.store import records as rows
from kd_keras.utils import digests, files, records

FORMAT = 1
NAME = "manifest.json"
# The plan of a store that is not finished.
PLAN = "plan.json"
# Files that are looked for at once: on network disks, each takes a while.
_THREADS = 16
# Handing a file over to a thread takes longer than looking for it.
_LOOKED_FOR_AT_A_TIME = 64
# A file's header is a multiple of this, and at least twice as long.
_HEADER_BYTES = 64
# Entries for the sizes of files, and for ids, which the fingerprints compare.
_IN_FILES = re.compile(r"^parts\.\w+\.(shard_examples|ids(\.\w+)?)$")
_REMEDY = "Label into another --workdir, or remove this store"
_REMEDY_OF_DAMAGE = "label into another --workdir, or remove this store"
_PART_FORM = {
    "fingerprint": str,
    "examples": int,
    "views": int,
    "shard_examples": int,
}
_FORM = {
    "teacher": dict,
    "num_classes": int,
    "spec": dict,
    "dtype": str,
    "top_k": int,
    "parts": {"train": _PART_FORM, str: _PART_FORM},
    # In version 0.2 and earlier, null until the store is finished.
    "checksums": (dict, type(None)),
}
_FEATURES_FORM = [{"shape": [int]}]


def plan(
    parts,
    *,
    teacher,
    num_classes,
    spec,
    views_count,
    dtype="float16",
    top_k=0,
    shard_views=0,
    names=None,
    features=(),
):
    """Plans a store: its manifest, whose `checksums` are still empty.

    Args:
        parts: dict of `train` and perhaps `validation` and `test` to their
            examples.
        teacher: dict of JSON values that identifies the teacher.
        num_classes: int, or 0 to store features alone.
        spec: `ViewSpec` of the training examples.
        views_count: int, views of each of them.
        dtype: `float16` or `float32`.
        top_k: int, the number of classes whose logits are kept, the most
            likely ones; 0 for all.
        shard_views: int, approximate number of views in a file. A file of
            large views has fewer, about 256 MB of logits or of a feature. 0
            takes 5,000, or more such that 128 files hold a part.
        names: list of str, the classes in the order of the logits, or None if
            they are unknown.
        features: list of dicts of JSON values, one for each feature that is
            kept beside the logits. Its `shape` is the shape for one view; the
            other entries identify the feature, such as `teacher`, the name of
            the layer.

    Returns:
        dict of JSON values.

    Raises:
        ValueError: if `top_k` is negative or not less than the number of
            classes, or there is nothing to store.
    """
    if num_classes or top_k:
        check_top_k(top_k, num_classes)
    features = [_feature_record(feature) for feature in features]
    if not num_classes and not features:
        raise ValueError(
            "a store must hold logits, features or both. Received: neither"
        )
    described = describe(parts)
    manifest = {
        "format": FORMAT,
        "teacher": teacher,
        "num_classes": num_classes,
        "spec": spec.record(),
        "dtype": dtype,
        "top_k": top_k,
        "parts": described,
        "checksums": {},
        **({"class_names": list(names)} if names else {}),
        **({"features": features} if features else {}),
    }
    row_bytes = max(x.row_dtype.itemsize for x in rows.arrays(manifest))
    for name, examples in parts.items():
        count = views_count if name == "train" else 1
        described[name] |= {
            "views": count,
            "shard_examples": layout.shard_examples(
                len(examples),
                views=count,
                shard_views=shard_views,
                row_bytes=row_bytes,
            ),
            "ids": ids_lib.described(examples.ids),
        }
    return manifest


def check_top_k(top_k, num_classes):
    """Raises a ValueError unless `top_k` is from 0 to below `num_classes`."""
    if not 0 <= top_k < num_classes:
        raise ValueError(
            "store.top_k must be >= 0 and less than the number of classes; 0 "
            f"stores all. Received: {top_k} of {num_classes}"
        )


def check_top_k_is_unset(top_k, setting):
    """Raises a ValueError if `top_k` is set for logits of sigmoids.

    Args:
        top_k: int.
        setting: str, what makes them logits of sigmoids, such as
            `distill.loss=binary_kl`.
    """
    if top_k:
        raise ValueError(
            f"store.top_k must be 0 with {setting}: each label has a "
            "probability of its own, so there is no rest to share. Received: "
            f"{top_k}"
        )


def describe(parts):
    """Identifies the parts of a dataset: `{name: digests and count}`."""
    return {
        name: {**examples.images_record, "examples": len(examples)}
        for name, examples in parts.items()
    }


def comparable(manifest):
    """The contents of a store as a flat dict, without the layout of its files.

    Two stores with the same contents hold the same logits and features.
    """
    # By number, so that an error names the entry of one feature.
    if "features" in manifest:
        numbered = {str(i): x for i, x in enumerate(manifest["features"])}
        manifest = {**manifest, "features": numbered}
    # Class names may be unknown on either side; see `check_class_names`.
    apart = ("checksums", "class_names")
    fields = config_lib.flatten(
        {key: value for key, value in manifest.items() if key not in apart}
    )
    return {
        key: value for key, value in fields.items() if not _IN_FILES.search(key)
    }


def exists(path):
    """Whether a directory holds a store, finished or not."""
    return any((pathlib.Path(path) / name).is_file() for name in (NAME, PLAN))


def read(path):
    """Reads the manifest of a store, or the plan of an unfinished one.

    Args:
        path: `pathlib.Path` of the store's directory.

    Returns:
        dict, or None if there is neither. See `is_complete`.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is damaged or of another format.
    """
    # The plan is removed when the manifest is written.
    for name in (NAME, PLAN, NAME):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return _parsed((path / name).read_bytes(), path / name)
    return None


def _parsed(content, path):
    fields = {
        "what": "the manifest of a logit store",
        "remedy": _REMEDY_OF_DAMAGE,
    }
    manifest = records.parse(content, {"format": int}, path, **fields)
    if manifest["format"] != FORMAT:
        raise ValueError(
            f"a logit store must be of format {FORMAT}. Received: "
            f"{path.parent}, format {manifest['format']}"
        )
    form = dict(_FORM)
    if "features" in manifest:
        form["features"] = _FEATURES_FORM
    records.check(manifest, form, path, **fields)
    return manifest


def write(path, manifest):
    """Writes the manifest of a store, or its plan until it is complete.

    Args:
        path: `pathlib.Path` of the store's directory.
        manifest: dict, as `plan` and `read` return it, with the `checksums`
            of the files that exist.
    """
    checksums = manifest["checksums"]
    # In one order, whichever process was first.
    checksums = {
        name: checksums[name]
        for name in layout.all_files(manifest)
        if name in checksums
    }
    manifest = {**manifest, "checksums": checksums}
    written, other = NAME, PLAN
    if not is_complete(manifest):
        written, other = PLAN, NAME
    files.write_json(path / written, records.sealed(manifest))
    (path / other).unlink(missing_ok=True)


def is_complete(manifest):
    """Whether a manifest has all checksums: its store is finished."""
    checksums = manifest["checksums"] or {}
    return all(name in checksums for name in layout.all_files(manifest))


def is_imported(manifest):
    """Whether a store holds predictions that were made elsewhere."""
    return "predictions" in manifest["teacher"]


def is_finished(path, manifest, *, verify=True, remedy=_REMEDY):
    """Whether a store of this plan exists and is finished and whole.

    Args:
        path: path of the store.
        manifest: dict; see `plan`.
        verify: bool; False compares the files' sizes alone. A reader compares
            each file with its checksum when it is first used.
        remedy: str, as of `check_same`.

    Raises:
        ValueError: if a store of another plan exists, finished or not, or
            the directory holds other files.
    """
    path = pathlib.Path(path)
    existing = read(path)
    if existing is None:
        _check_free(path)
        return False
    check_class_names(existing, manifest.get("class_names"), path)
    check_same(comparable(existing), comparable(manifest), path, remedy=remedy)
    if not is_complete(existing):
        return False
    find = damaged_files if verify else unfit_files
    return not find(path, existing)


def damaged_files(path, manifest, names=None):
    """Names of a store's files that are missing, unfinished or damaged.

    Reads the files.

    Args:
        path: path of the store.
        manifest: dict; see `plan`.
        names: list of str, the files to look at; None for all.
    """
    names = layout.all_files(manifest) if names is None else names
    whole = _in_threads(lambda name: is_whole(path, name, manifest), names)
    return [name for name, fits in zip(names, whole) if not fits]


def unfit_files(path, manifest):
    """Names of a store's files that are missing or of another size.

    Reads none of them.
    """
    sizes = _array_bytes(manifest)

    def fits(name):
        try:
            header = os.stat(f"{path}/{name}").st_size - sizes[name]
        except OSError:
            return False
        return header >= 2 * _HEADER_BYTES and not header % _HEADER_BYTES

    found = _in_threads(fits, sizes, _LOOKED_FOR_AT_A_TIME)
    return [name for name, fit in zip(sizes, found) if not fit]


def is_whole(path, name, manifest):
    """Whether a file of a store is as it was written."""
    expected = (manifest["checksums"] or {}).get(name)
    if expected is None:
        return False
    try:
        return digests.sha256_of_file(pathlib.Path(path) / name) == expected
    except OSError:
        return False


def _in_threads(function, names, at_a_time=1):
    """Checks a condition for each of many files: list of bool."""
    names = list(names)
    chunks = [
        names[start : start + at_a_time]
        for start in range(0, len(names), at_a_time)
    ]
    with futures.ThreadPoolExecutor(_THREADS) as threads:
        found = threads.map(lambda chunk: [function(x) for x in chunk], chunks)
        return [holds for chunk in found for holds in chunk]


def _array_bytes(manifest):
    """The bytes of the array in each file of a store: dict by file name."""
    sizes = {}
    for part, fields in manifest["parts"].items():
        for name in layout.ids_files(part, manifest):
            sizes[name] = fields["examples"] * np.dtype("int64").itemsize
        for array, kind in zip(
            rows.arrays(manifest), layout.array_names(manifest)
        ):
            view_bytes = fields["views"] * array.row_dtype.itemsize
            for index, name in enumerate(
                layout.shard_files(part, manifest, kind)
            ):
                count = layout.shard_size(part, manifest, index)
                sizes[name] = count * view_bytes
    return sizes


def check_same(was, now, path, *, remedy=_REMEDY):
    """Raises a ValueError that lists the entries in which two dicts differ.

    Args:
        was: dict, entries of the store's manifest, as `comparable` returns.
        now: dict, the entries that it must have.
        path: path of the store.
        remedy: str, a sentence that ends the error: what to do.
    """
    differing = differences.described(was, now)
    if differing:
        raise ValueError(
            "a logit store must be of the same teacher, images and views. "
            f"Received: {path}. Differing: {'; '.join(differing)}. "
            f"{differences.seed_remedy(was, now)}{remedy}"
        )
    config_lib.log_incomparable(was, now, path)


def check_class_names(manifest, names, path):
    """Raises a ValueError if a store's logits are of other classes.

    Args:
        manifest: dict, the store's.
        names: list of str, the classes of the data, or None.
        path: path of the store.
    """
    class_names.check_same(
        manifest.get("class_names"), names, model=f"the store {path}"
    )


def remove(path):
    """Removes a store's files; other files in its directory remain."""
    path = pathlib.Path(path)
    manifest = read(path)
    if manifest is not None:
        records_of_tasks = filter(task_records.is_record, os.listdir(path))
        files_of_store = [*layout.all_files(manifest), *records_of_tasks]
        for name in [*files_of_store, PLAN, NAME]:
            (path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.rmdir()


def _feature_record(feature):
    """A feature as JSON values, with its shape as a list of ints."""
    shape = [int(size) for size in feature["shape"]]
    if not all(size > 0 for size in shape):
        raise ValueError(
            f"a stored feature must be of a known size. Received: {feature}"
        )
    return {**feature, "shape": shape}


def _check_free(path):
    if path.exists() and not path.is_dir():
        raise ValueError(f"a store needs a directory. Received: {path}, a file")
    found = files.files_below(path)
    # Read again: another process may have begun the store just now.
    if found and read(path) is None:
        raise ValueError(
            "a store needs a new or empty directory. Received: "
            f"{path} without {NAME}, with {files.named(sorted(found))}; "
            "take another --workdir"
        )

"""The manifest of a store: its contents, its files, and checks of both."""

import contextlib
import math
import pathlib

import numpy as np

from kd_keras import config as config_lib
from kd_keras.models import class_names
from kd_keras.utils import digests, files, records

FORMAT = 1
NAME = "manifest.json"
# Images that the teacher labels at once.
BATCH_SIZE = 500
# Most files of a part: a reader keeps each of them open.
_MAX_SHARDS = 256
# Most bytes of a feature in a file, which is made in memory.
_MAX_FEATURE_BYTES = 2**28
_REMEDY = "label into another --workdir, or remove this store"
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
    # By version 0.2 and earlier: null until the store is finished.
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
    shard_views=50_000,
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
        shard_views: int, approximate number of views in a file.
        names: list of str, the classes in the order of the logits, or None if
            they are unknown.
        features: list of dicts of JSON values, one for each feature that is
            kept beside the logits. Its `shape` is that of the feature of one
            view; the other entries identify the feature, such as `teacher`,
            the name of the layer.

    Returns:
        dict of JSON values.

    Raises:
        ValueError: if `top_k` is not less than the number of classes, or
            there is nothing to store.
    """
    if num_classes or top_k:
        check_top_k(top_k, num_classes)
    features = [_feature_record(feature) for feature in features]
    if not num_classes and not features:
        raise ValueError(
            "a store must hold logits, features or both. Received: neither"
        )
    described = describe(parts)
    for name, examples in parts.items():
        count = views_count if name == "train" else 1
        described[name] |= {
            "views": count,
            "shard_examples": _shard_examples(
                len(examples),
                views=count,
                shard_views=_limited(shard_views, features, dtype),
                arrays=len(features) + bool(num_classes),
            ),
        }
    return {
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


def check_top_k(top_k, num_classes):
    """Raises a ValueError unless `top_k` is less than the number of classes."""
    if top_k >= num_classes:
        raise ValueError(
            "store.top_k must be less than the number of classes, or 0 for "
            f"all. Received: {top_k} of {num_classes}"
        )


def describe(parts):
    """Identifies the parts of a dataset: `{name: digests and count}`."""
    return {
        name: {**examples.images_record, "examples": len(examples)}
        for name, examples in parts.items()
    }


def comparable(manifest):
    """The contents of a store as a flat dict, without the sizes of its files.

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
        key: value
        for key, value in fields.items()
        if not key.endswith(".shard_examples")
    }


def read(path):
    """Reads the manifest of a store; None if there is no manifest.

    Args:
        path: `pathlib.Path` of the store's directory.

    Raises:
        ValueError: if it is damaged or of another format.
    """
    if not (path / NAME).exists():
        return None
    fields = {"what": "the manifest of a logit store", "remedy": _REMEDY}
    manifest = records.read_json(path / NAME, {"format": int}, **fields)
    if manifest["format"] != FORMAT:
        raise ValueError(
            f"a logit store must be of format {FORMAT}. Received: {path}, "
            f"format {manifest['format']}"
        )
    form = dict(_FORM)
    if "features" in manifest:
        form["features"] = _FEATURES_FORM
    return records.read_json(path / NAME, form, **fields)


def write(path, manifest):
    """Writes the manifest of a store.

    Args:
        path: `pathlib.Path` of the store's directory.
        manifest: dict, as `plan` and `read` return it.
    """
    checksums = manifest["checksums"]
    # In one order, whichever process was first.
    checksums = {
        name: checksums[name]
        for name in all_files(manifest)
        if name in checksums
    }
    files.write_json(
        path / NAME, records.sealed({**manifest, "checksums": checksums})
    )


def is_imported(manifest):
    """Whether a store holds predictions that were made elsewhere."""
    return "predictions" in manifest["teacher"]


def is_finished(path, manifest):
    """Whether a store of this plan exists and is finished and whole.

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
    check_same(comparable(existing), comparable(manifest), path)
    return not damaged_files(path, existing)


def damaged_files(path, manifest):
    """Names of a store's files that are missing, unfinished or damaged."""
    return [
        name
        for name in all_files(manifest)
        if not is_whole(path, name, manifest)
    ]


def is_whole(path, name, manifest):
    """Whether a file of a store is as it was written."""
    try:
        digest = digests.sha256_of_file(pathlib.Path(path) / name)
    except OSError:
        return False
    return (manifest["checksums"] or {}).get(name) == digest


def check_same(was, now, path):
    """Raises a ValueError that lists the entries in which two dicts differ.

    Args:
        was: dict, entries of the store's manifest, as `comparable` returns.
        now: dict, the entries that it must have.
        path: path of the store.
    """
    differing = config_lib.differing(was, now)
    if differing:
        raise ValueError(
            "a logit store must be of the same teacher, images and views. "
            f"Received: {path}. Differing: {'; '.join(differing)}. Label into "
            "another --workdir, or remove this store"
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
        for name in [*all_files(manifest), NAME]:
            (path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.rmdir()


def ids_file(part):
    """Name of the file with a part's ids."""
    return f"{part}-ids.npy"


def array_names(manifest):
    """Names of a store's arrays in the names of its files: list of str.

    The logits, if any, whose name is empty, then each feature.
    """
    logits = [""] if manifest["num_classes"] else []
    count = len(manifest.get("features", ()))
    return logits + [f"feature{index}-" for index in range(count)]


def shard_files(part, manifest, array=""):
    """Names of the files with an array of a part, in order.

    Args:
        part: `train`, `validation` or `test`.
        manifest: dict; see `plan`.
        array: str, one of `array_names`.
    """
    fields = manifest["parts"][part]
    count = -(-fields["examples"] // fields["shard_examples"])
    return [f"{part}-{array}{i:05d}-of-{count:05d}.npy" for i in range(count)]


def all_files(manifest):
    """Names of all files of a store except the manifest."""
    return [
        file
        for part in manifest["parts"]
        for file in (
            ids_file(part),
            *(
                name
                for array in array_names(manifest)
                for name in shard_files(part, manifest, array)
            ),
        )
    ]


def _feature_record(feature):
    """A feature as JSON values, with its shape as a list of ints."""
    shape = [int(size) for size in feature["shape"]]
    if not all(size > 0 for size in shape):
        raise ValueError(
            f"a stored feature must be of a known size. Received: {feature}"
        )
    return {**feature, "shape": shape}


def _limited(shard_views, features, dtype):
    """The number of views in a file, fewer where a feature is large."""
    itemsize = np.dtype(dtype).itemsize
    sizes = [itemsize * math.prod(f["shape"]) for f in features]
    return min([shard_views, *(max(_MAX_FEATURE_BYTES // s, 1) for s in sizes)])


def _shard_examples(count, *, views, shard_views, arrays):
    """Number of examples in a file, of `count`: whole batches.

    The teacher then computes each batch from the same images, and so to the
    same bits, whichever process labels the shard.
    """
    shards = min(-(-count * views // shard_views), _MAX_SHARDS // arrays)
    examples = -(-count // shards)
    return -(-examples // BATCH_SIZE) * BATCH_SIZE


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

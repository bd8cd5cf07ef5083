"""Logits as they are stored: all classes, or a record of the top k."""

import numpy as np


def row_dtype(manifest):
    """The dtype of one view: a vector of logits, or a record."""
    if not manifest["top_k"]:
        return np.dtype((manifest["dtype"], manifest["num_classes"]))
    class_dtype = "uint16" if manifest["num_classes"] <= 2**16 else "uint32"
    return np.dtype(
        [
            ("logits", manifest["dtype"], manifest["top_k"]),
            ("classes", class_dtype, manifest["top_k"]),
            # Logarithm of the sum of exp(logit) of all other classes.
            ("rest", manifest["dtype"]),
        ]
    )


def load_shard(path, manifest, part, index):
    """Maps a file of logits into memory.

    Args:
        path: path of the file.
        manifest: dict; see `manifest.plan`.
        part: `train`, `validation` or `test`.
        index: int, the number of the file within the part.

    Returns:
        `np.memmap`, `(views, examples, ...)`.

    Raises:
        ValueError: if the file is damaged, or not of this shape.
    """
    fields = manifest["parts"][part]
    size = fields["shard_examples"]
    count = min(size, fields["examples"] - index * size)
    row = row_dtype(manifest)
    shape = (fields["views"], count, *row.shape)
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
        found = f"{rows.shape} of {rows.dtype}"
        fits = rows.shape == shape and rows.dtype == row.base
    # NumPy raises errors of many kinds on damaged bytes.
    except Exception as error:
        found, fits = error, False
    if not fits:
        raise ValueError(
            f"the logits of a store must be {shape} of {row.base}. Received: "
            f"{path}, {found}; label into another --workdir, or remove this "
            "store"
        )
    return rows


def is_shard(path, manifest, part, index):
    """Whether a file of logits can be loaded; see `load_shard`."""
    try:
        load_shard(path, manifest, part, index)
    except ValueError:
        return False
    return True


def encode(logits, manifest):
    """Converts logits to the rows of a shard.

    Args:
        logits: float32 array `(n, num_classes)`.
        manifest: dict; see `manifest.plan`.

    Returns:
        Array `(n, num_classes)`, or `(n,)` of records.

    Raises:
        ValueError: if the number of classes differs, or a logit is not
            finite in the store's dtype.
    """
    if logits.shape[-1] != manifest["num_classes"]:
        raise ValueError(
            "the teacher must return a logit for each class. Received: "
            f"{logits.shape[-1]} logits for {manifest['num_classes']} classes"
        )
    with np.errstate(over="ignore"):
        fits = np.isfinite(logits.astype(manifest["dtype"])).all()
    if not fits:
        raise ValueError(
            f"the teacher's logits must be finite and fit {manifest['dtype']} "
            "(store.dtype=float32 holds larger ones). Received: values from "
            f"{logits.min()} to {logits.max()}"
        )
    top_k = manifest["top_k"]
    if not top_k:
        return logits
    classes = np.argpartition(-logits, top_k - 1, axis=-1)
    top, others = classes[:, :top_k], classes[:, top_k:]
    rows = np.empty(len(logits), row_dtype(manifest))
    rows["classes"] = top
    rows["logits"] = np.take_along_axis(logits, top, axis=-1)
    rest = np.take_along_axis(logits, others, axis=-1).astype("float64")
    rows["rest"] = np.logaddexp.reduce(rest, axis=-1)
    return rows


def decode(rows, manifest):
    """Converts rows back to logits of all classes.

    The classes that a record lacks share its remaining probability evenly.

    Returns:
        float32 array `(n, num_classes)`.
    """
    if not manifest["top_k"]:
        return rows.astype("float32")
    num_classes = manifest["num_classes"]
    top_k = rows["classes"].shape[-1]
    others = rows["rest"].astype("float32") - np.log(num_classes - top_k)
    logits = np.repeat(others[:, np.newaxis], num_classes, axis=-1)
    np.put_along_axis(
        logits,
        rows["classes"].astype("int64"),
        rows["logits"].astype("float32"),
        axis=-1,
    )
    return logits.astype("float32")

"""Logits and features as they are stored.

A row is the stored form of one view. A row of logits holds all classes, or is
a record of the top k. A row of a feature holds all its numbers.
"""

import math
import mmap

import numpy as np

from kd_keras.store import layout


class Logits:
    """The logits of a store.

    Args:
        manifest: dict; see `manifest.plan`.

    Attributes:
        row_dtype: dtype of a row.
        shape: tuple, the shape of the decoded logits of one view.
    """

    def __init__(self, manifest):
        self._num_classes = manifest["num_classes"]
        self._top_k = manifest["top_k"]
        self._dtype = manifest["dtype"]
        self.shape = (self._num_classes,)
        self.row_dtype = self._row_dtype()

    def _row_dtype(self):
        if not self._top_k:
            return np.dtype((self._dtype, self._num_classes))
        class_dtype = "uint16" if self._num_classes <= 2**16 else "uint32"
        return np.dtype(
            [
                ("logits", self._dtype, self._top_k),
                ("classes", class_dtype, self._top_k),
                # Logarithm of the sum of exp(logit) of all other classes.
                ("rest", self._dtype),
            ]
        )

    def encode(self, logits):
        """Converts logits to rows.

        Args:
            logits: float32 array `(n, num_classes)`.

        Returns:
            Array `(n, num_classes)`, or `(n,)` of records.

        Raises:
            ValueError: if the number of classes differs, or a logit is not
                finite in the store's dtype.
        """
        if logits.shape[-1] != self._num_classes:
            raise ValueError(
                "the teacher must return a logit for each class. Received: "
                f"{logits.shape[-1]} logits for {self._num_classes} classes"
            )
        _check_finite(logits, self._dtype, "the teacher's logits")
        if not self._top_k:
            return logits
        classes = np.argpartition(-logits, self._top_k - 1, axis=-1)
        top, others = classes[:, : self._top_k], classes[:, self._top_k :]
        rows = np.empty(len(logits), self.row_dtype)
        rows["classes"] = top
        rows["logits"] = np.take_along_axis(logits, top, axis=-1)
        rest = np.take_along_axis(logits, others, axis=-1).astype("float64")
        rows["rest"] = np.logaddexp.reduce(rest, axis=-1)
        return rows

    def decode(self, rows):
        """Converts rows back to logits of all classes.

        The classes that a record lacks share its remaining probability
        evenly.

        Returns:
            float32 array `(n, num_classes)`.
        """
        if not self._top_k:
            return rows.astype("float32")
        lacking = self._num_classes - self._top_k
        others = rows["rest"].astype("float32") - np.log(lacking)
        logits = np.repeat(others[:, np.newaxis], self._num_classes, axis=-1)
        np.put_along_axis(
            logits,
            rows["classes"].astype("int64"),
            rows["logits"].astype("float32"),
            axis=-1,
        )
        return logits.astype("float32")


class Feature:
    """A feature of a store.

    Args:
        manifest: dict; see `manifest.plan`.
        index: int, the number of the feature in the manifest.

    Attributes:
        row_dtype: dtype of a row.
        shape: tuple, the shape of the feature of one view.
    """

    def __init__(self, manifest, index):
        record = manifest["features"][index]
        self._name = described(record, index)
        self._dtype = manifest["dtype"]
        self.shape = tuple(record["shape"])
        self.row_dtype = np.dtype((self._dtype, self.shape))

    def encode(self, feature):
        """Converts a feature to rows.

        Args:
            feature: float array `(n, *shape)`.

        Returns:
            The same array.

        Raises:
            ValueError: if the shape differs, or a number is not finite in
                the store's dtype.
        """
        if feature.shape[1:] != self.shape:
            raise ValueError(
                f"the teacher's {self._name} must be of the planned shape "
                f"{self.shape}. Received: {feature.shape[1:]}"
            )
        _check_finite(feature, self._dtype, f"the teacher's {self._name}")
        return feature

    def decode(self, rows):
        """Converts rows back: float32 array `(n, *shape)`."""
        return rows.astype("float32")


def arrays(manifest):
    """The arrays of a store: list, in the order of `layout.array_names`."""
    logits = [Logits(manifest)] if manifest["num_classes"] else []
    count = len(manifest.get("features", ()))
    return logits + [Feature(manifest, index) for index in range(count)]


def described(record, index):
    """Names a feature for a message, such as `feature 'block_5'`.

    Args:
        record: dict, the feature's entry in the manifest.
        index: int, its number.
    """
    return f"feature {record.get('teacher') or index!r}"


def shard_shape(manifest, part, index, row):
    """The shape of the array in a file of a store.

    Args:
        manifest: dict; see `manifest.plan`.
        part: `train`, `validation` or `test`.
        index: int, the number of the file within the part.
        row: dtype of a row.

    Returns:
        tuple, `(views, examples, ...)`.
    """
    views = manifest["parts"][part]["views"]
    return (views, layout.shard_size(part, manifest, index), *row.shape)


def check_array(path, shape, dtype):
    """Checks that a file holds an array of a shape and dtype.

    Args:
        path: path of the file.
        shape: tuple.
        dtype: dtype.

    Raises:
        ValueError: if the file is damaged, or holds another array.
    """
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
        found = f"{rows.shape} of {rows.dtype}"
        fits = rows.shape == shape and rows.dtype == dtype
    # NumPy raises errors of many kinds on damaged bytes.
    except Exception as error:
        found, fits = error, False
    if not fits:
        raise ValueError(
            f"the arrays of a store must be {shape} of {dtype}. Received: "
            f"{path}, {found}; label into another --workdir, or remove this "
            "store"
        )


def map_array(path, shape, dtype):
    """Maps the array of a checked file into memory.

    This is much faster than `np.load`, which parses the file's header.

    Args:
        path: path of the file.
        shape: tuple, the array's shape.
        dtype: its dtype.

    Returns:
        `(array, memory)`: the array, and the `mmap.mmap` that it reads.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: if it is too small.
    """
    with open(path, "rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    offset = len(memory) - math.prod(shape) * dtype.itemsize
    if offset < 0:
        raise ValueError(f"{len(memory)} bytes are too few")
    return np.ndarray(shape, dtype, memory, offset), memory


def is_shard(path, manifest, part, index, row):
    """Whether a shard file holds an array of the planned shape and dtype.

    Args:
        path: path of the file.
        manifest: as of `shard_shape`.
        part: as of `shard_shape`.
        index: as of `shard_shape`.
        row: as of `shard_shape`.
    """
    try:
        shape = shard_shape(manifest, part, index, row)
        check_array(path, shape, row.base)
    except ValueError:
        return False
    return True


def _check_finite(values, dtype, what):
    with np.errstate(over="ignore"):
        fits = np.isfinite(values.astype(dtype)).all()
    if not fits:
        raise ValueError(
            f"{what} must be finite and fit {dtype} "
            "(store.dtype=float32 holds larger ones). Received: values from "
            f"{values.min()} to {values.max()}"
        )

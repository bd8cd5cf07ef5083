"""Reads stored logits and features by example id and view."""

import copy
import os
import pathlib

import numpy as np
import tensorflow as tf

from kd_keras.data import python_ops
from kd_keras.store import ids as ids_lib
from kd_keras.store import layout, mapped_files, places, records, tasks
from kd_keras.store import manifest as manifest_lib
from kd_keras.teachers.outputs import Outputs
from kd_keras.utils import remote_copies, tables, tf_data


class LogitStore:
    """A finished store, opened to read; see `open`.

    Attributes:
        path: `pathlib.Path` of the directory.
        manifest: dict, as in `manifest.json`.
        views: int, number of stored views of each training example.
        num_classes: int, or 0 without logits.
        feature_shapes: list of tuples, the shape of each feature of a view.
    """

    def __init__(self, path, manifest, *, verify=True):
        self.path = pathlib.Path(path)
        self.manifest = manifest
        self.views = manifest["parts"]["train"]["views"]
        self.num_classes = manifest["num_classes"]
        self._arrays = records.arrays(manifest)
        # The numbers of the arrays that are features.
        self._features = list(range(bool(self.num_classes), len(self._arrays)))
        checksums = manifest["checksums"] if verify else None
        files = mapped_files.MappedFiles(self.path, checksums)
        self._parts = {
            name: _Part(name, manifest, self._arrays, files)
            for name in manifest["parts"]
        }

    @property
    def feature_shapes(self):
        return [self._arrays[i].shape for i in self._features]

    @classmethod
    def open(cls, path, *, verify=True):
        """Opens a store.

        A file is read when it is first used. The number of open files is
        limited, however large the store is.

        Args:
            path: str or path of the directory. One at gs://, s3:// or
                az:// is copied to the user's cache directory first.
            verify: bool, whether each file is compared with its checksum when
                it is first used.

        Returns:
            `LogitStore`.

        Raises:
            ValueError: if `path` is of no store, it is unfinished or of
                another format, or a file is missing or of another size.
        """
        path = _local_directory(path)
        manifest = manifest_lib.read(path)
        if manifest is None:
            raise ValueError(
                "store.path must be a logit store, made by `kd-keras label`. "
                f"Received: {path}, without {manifest_lib.NAME}"
            )
        _check_files(path, manifest)
        return cls(path, manifest, verify=verify)

    def logits(self, ids, view=0, part="train"):
        """The teacher's logits for a view of some examples.

        Args:
            ids: int array `(n,)`, the examples' ids.
            view: int, the view's number.
            part: `train`, `validation` or `test`.

        Returns:
            float32 array `(n, num_classes)`. If the store holds only the
            `top_k` classes, the others share the remaining probability
            evenly.

        Raises:
            ValueError: if the store lacks the part, an id or the view, holds
                features alone, or a file of it is damaged.
        """
        if not self.num_classes:
            raise ValueError(
                "logits can only be read from a store that holds them. "
                f"Received: {self.path}, of {len(self._features)} features "
                "alone"
            )
        return self._read([0], ids, view, part)[0]

    def features(self, ids, view=0, part="train"):
        """The teacher's features for a view of some examples.

        Args:
            ids: as in `logits`.
            view: as in `logits`.
            part: as in `logits`.

        Returns:
            Tuple of float32 arrays `(n, ...)`, one for each feature of the
            manifest, `feature_shapes`.

        Raises:
            ValueError: if the store lacks the part, an id or the view, or a
                file of it is damaged.
        """
        return tuple(self._read(self._features, ids, view, part))

    def choose(self, features):
        """A copy of this store that reads only some features.

        Args:
            features: list of dicts, the wanted features in their order, each
                with the entries of one in the manifest, without its `shape`.

        Returns:
            `LogitStore`, whose manifest has these features alone.

        Raises:
            ValueError: if the store lacks one of them.
        """
        held = self.manifest.get("features", [])
        names = [
            {key: value for key, value in record.items() if key != "shape"}
            for record in held
        ]
        lacking = [record for record in features if record not in names]
        if lacking:
            raise ValueError(
                "a store must hold the features that a student learns from. "
                f"Received: {self.path} with {names or 'none'}, wanted "
                f"{lacking[0]}; label into another --workdir"
            )
        places = [names.index(record) for record in features]
        chosen = copy.copy(self)
        chosen._features = [self._features[place] for place in places]
        chosen.manifest = {
            key: value
            for key, value in self.manifest.items()
            if key != "features"
        }
        if places:
            chosen.manifest["features"] = [held[place] for place in places]
        return chosen

    def _read(self, arrays, ids, view, part):
        """Rows of the arrays with these numbers: list of float32 arrays."""
        if part not in self._parts:
            raise ValueError(
                f"part must be one of {', '.join(self._parts)}. "
                f"Received: {part!r}"
            )
        rows = self._parts[part].rows(_as_ids(ids), int(view), arrays)
        return [self._arrays[i].decode(x) for i, x in zip(arrays, rows)]

    def lookup(self, ids, view=0, part="train"):
        """`logits` and `features` as a TensorFlow operation.

        For `tf.data.Dataset.map`.

        Args:
            ids: int64 tensor `(n,)`.
            view: int64 scalar.
            part: as in `logits`.

        Returns:
            `Outputs` of float32 tensors: logits `(n, num_classes)`, None
            without any, and features `(n, ...)`.
        """
        logits = [0] if self.num_classes else []
        tensors = self._lookup(logits + self._features, ids, view, part)
        return Outputs(
            tensors[0] if logits else None, tuple(tensors[len(logits) :])
        )

    def _lookup(self, arrays, ids, view, part):
        """`_read` as a TensorFlow operation: list of float32 tensors."""
        tensors = python_ops.numpy_function(
            lambda ids, view: self._read(arrays, ids, view, part),
            [ids, view],
            [tf.float32] * len(arrays),
            stateful=False,
        )
        # TensorFlow returns a single tensor instead of a list of one.
        return [
            tf.ensure_shape(tensor, (None, *self._arrays[i].shape))
            for i, tensor in zip(arrays, tf.nest.flatten(tensors))
        ]

    def attach(self, dataset, view=0, part="train"):
        """Joins stored logits and features to a dataset, by examples' ids.

        Args:
            dataset: `tf.data.Dataset` of batches `(ids, images)` or `(ids,
                images, labels)`; the images are this view of the examples.
            view: int or int64 scalar.
            part: str, as in `logits`.

        Returns:
            `tf.data.Dataset` of `(images, y)` for a `Distiller` without a
            teacher: `y` is a dict of `teacher_logits` and
            `teacher_features`, a tuple, as far as the store holds them, and
            of `labels` if any.

        Raises:
            ValueError: if the dataset has other elements.
        """
        _check_elements(dataset.element_spec)

        @tf_data.unconverted
        def join(ids, images, labels=None):
            logits, features = self.lookup(ids, view, part)
            y = {} if logits is None else {"teacher_logits": logits}
            if features:
                y["teacher_features"] = features
            if labels is not None:
                y["labels"] = labels
            return images, y

        return dataset.map(join, num_parallel_calls=tf.data.AUTOTUNE)

    def check(self, **expected):
        """Raises a ValueError that lists the entries that are not as expected.

        Args:
            **expected: entries that the manifest must have, as in `plan`;
                `parts` as `describe` returns it.
        """
        was = manifest_lib.comparable(self.manifest)
        now = manifest_lib.comparable(expected)
        # Augmentations of the store that the views lack are differences, too.
        was = {
            key: value
            for key, value in was.items()
            if key in now or ("spec" in expected and key.startswith("spec."))
        }
        # It may have cost days: not to be removed for one reader.
        manifest_lib.check_same(
            was, now, self.path, remedy="Label into another --workdir"
        )


class _Part:
    """The examples of one part, in the files of its arrays."""

    def __init__(self, name, manifest, arrays, files):
        fields = manifest["parts"][name]
        self._name = name
        self._manifest = manifest
        self._views = fields["views"]
        self._shard_examples = fields["shard_examples"]
        self._kinds = layout.array_names(manifest)
        self._rows = [array.row_dtype for array in arrays]
        self._files = files
        self._positions = ids_lib.Positions(name, manifest, files)

    def rows(self, ids, view, arrays):
        """The stored rows of a view of some examples.

        Args:
            ids: int64 array `(n,)`.
            view: int.
            arrays: list of ints, the numbers of the arrays to read.

        Returns:
            List of arrays `(n, ...)`.
        """
        if not 0 <= view < self._views:
            raise ValueError(
                f"view must be >= 0 and < {self._views}. Received: {view}"
            )
        shard_of, places = np.divmod(
            self._positions.find(ids), self._shard_examples
        )
        # Sorted by file: a batch may come from hundreds of files.
        order = np.argsort(shard_of, kind="stable")
        places = places[order]
        groups = _groups(shard_of[order])
        read = [
            _in_order(self._ordered(i, view, places, groups), order)
            for i in arrays
        ]
        row_bytes = sum(self._rows[i].itemsize for i in arrays)
        self._files.release_memory(len(ids), row_bytes)
        return read

    def _ordered(self, array, view, places, groups):
        """Rows of an array, in the order of the files."""
        rows = np.empty(len(places), self._rows[array])
        name, find, describe = self._name, self._files.array, self._describe
        for shard, start, stop in groups:
            stored = find((name, shard, array), describe)
            rows[start:stop] = stored[view, places[start:stop]]
        return rows

    def _describe(self, key):
        """The name, shape and dtype of a file; see `MappedFiles.array`."""
        part, index, array = key
        kind, row = self._kinds[array], self._rows[array]
        return (
            layout.shard_file(part, self._manifest, index, kind),
            records.shard_shape(self._manifest, part, index, row),
            row.base,
        )


def _groups(ordered):
    """Runs of equal numbers: list of `(number, start, stop)`."""
    firsts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    bounds = [0, *firsts.tolist(), len(ordered)]
    return [
        (int(ordered[start]), start, stop)
        for start, stop in zip(bounds, bounds[1:])
        if start < stop
    ]


def _in_order(rows, order):
    """Rows back in the order of the ids."""
    read = np.empty_like(rows)
    read[order] = rows
    return read


def _local_directory(path):
    """The directory of a store on local disk: `pathlib.Path`."""
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(
            "the path of a logit store must be a str or a path. Received: "
            f"{path!r}"
        )
    path = pathlib.Path(
        remote_copies.local(path, "store.path", needs=manifest_lib.NAME)
    )
    if path.is_file():
        raise ValueError(
            "store.path must be the directory of a logit store. Received: "
            f"{path}, a file"
        )
    return path


def _check_elements(spec):
    """Raises a ValueError unless a dataset has batches with ids.

    Args:
        spec: the dataset's `element_spec`.
    """
    if isinstance(spec, tuple) and len(spec) in (2, 3):
        ids = spec[0]
        if getattr(ids, "dtype", tf.string).is_integer and (
            ids.shape.rank in (None, 1)
        ):
            return
    raise ValueError(
        "a dataset must have batches (ids, images) or (ids, images, labels), "
        f"with whole numbers (n,) as ids. Received: elements {spec}"
    )


def _as_ids(ids):
    """Ids as an int64 array."""
    ids = np.asarray(ids)
    if ids.dtype.kind not in "iu" and ids.size:
        raise ValueError(
            f"ids must be whole numbers. Received: {ids.dtype} numbers"
        )
    if ids.ndim != 1:
        raise ValueError(
            "ids must be an array (n,), of one id such as [7]. Received: "
            f"shape {ids.shape}"
        )
    return ids.astype("int64", copy=False)


def _check_files(path, manifest):
    if not manifest_lib.is_complete(manifest):
        left = places.Directory(path).count_left(manifest)
        raise ValueError(
            "a logit store must be finished; the same `kd-keras label` "
            f"resumes it. Received: {path}, with {left} of "
            f"{tables.counted(tasks.count(manifest), 'task')} left"
        )
    for name in manifest_lib.unfit_files(path, manifest):
        exists = (path / name).exists()
        reason = "is damaged (its size differs)" if exists else "is missing"
        raise mapped_files.damaged(path / name, reason)

"""The logit store: what the teacher says of every view, asked once.

A view is a pure function of (seed, view number, example id), so its logits
can be stored under (id, view) and used later with the very picture that the
teacher saw, whatever the order and the batch.

`manifest.json` says what they are the logits of. A part (`train`,
`validation`, `test`) lies in shards of successive examples with all their
views, `<part>-00000-of-00010.npy`, `(views, examples, classes)`; its ids in
`<part>-ids.npy`. The last two parts have one view, the picture as it is.
"""

import contextlib
import json
import logging
import mmap
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras.data import augmentation as views
from kd_keras.data import pipeline
from kd_keras.utils import digests, files

_log = logging.getLogger(__name__)

FORMAT = 1
_BATCH_SIZE = 500
# A store has at most so many shards a part, each of which is an open file.
_MOST_SHARDS = 256
# Pages that a process has read count as its memory until it gives them back;
# after so many rows it does.
_ROWS_KEPT = 4096


class LogitStore:
    """A finished store, opened to read; see `open`.

    Attributes:
        path: where it lies.
        manifest: dict, as in `manifest.json`.
        views: int, how many views of each training example it holds.
        num_classes: int.
    """

    def __init__(self, path, manifest):
        self.path = pathlib.Path(path)
        self.manifest = manifest
        self.views = manifest["parts"]["train"]["views"]
        self.num_classes = manifest["num_classes"]
        self._parts = {
            name: _Part(self.path, name, manifest) for name in manifest["parts"]
        }

    @classmethod
    def open(cls, path, *, verify=True):
        """Opens a store.

        Args:
            path: the directory.
            verify: bool; False skips reading every file for its checksum.

        Returns:
            `LogitStore`.

        Raises:
            ValueError: if there is none, it is not finished, of another
                format, or a file is missing or damaged.
        """
        path = pathlib.Path(path)
        manifest = _read_manifest(path)
        if manifest is None:
            raise ValueError(
                "store.path must be a logit store, made by `python -m "
                f"kd_keras.label`. Received: {path}, without manifest.json"
            )
        if manifest["checksums"] is None:
            left = [f for f in _files(manifest) if not (path / f).exists()]
            raise ValueError(
                "a logit store must be finished: the same `python -m "
                f"kd_keras.label` goes on. Received: {path}, which lacks "
                f"{len(left)} of {len(_files(manifest))} files"
            )
        for name, checksum in manifest["checksums"].items():
            if not (path / name).exists():
                raise ValueError(
                    "a logit store must have all of its files. Received: "
                    f"{path / name}, which is missing"
                )
            if verify and digests.sha256_of_file(path / name) != checksum:
                raise ValueError(
                    "a logit store's files must be as they were written. "
                    f"Received: {path / name}, which is damaged (its SHA-256 "
                    "differs from the manifest's)"
                )
        return cls(path, manifest)

    def logits(self, ids, view=0, part="train"):
        """The teacher's logits for a view of some examples.

        Args:
            ids: int array `(n,)`, the examples' ids.
            view: int, the view's number.
            part: `train`, `validation` or `test`.

        Returns:
            float32 array `(n, num_classes)`. From a store of the `top_k`
            alone, the rest of the probability is spread evenly.

        Raises:
            ValueError: if it does not hold the part, an id or the view.
        """
        if part not in self._parts:
            raise ValueError(
                f"part must be one of {', '.join(self._parts)}. "
                f"Received: {part!r}"
            )
        rows = self._parts[part].rows(np.asarray(ids), int(view))
        if not self.manifest["top_k"]:
            return rows.astype("float32")
        return _dense(rows, self.num_classes)

    def lookup(self, ids, view=0, part="train"):
        """`logits` as a TensorFlow operation, for `tf.data.Dataset.map`.

        Args:
            ids: int64 tensor `(n,)`.
            view: int64 scalar.
            part: as above.

        Returns:
            float32 tensor `(n, num_classes)`.
        """
        logits = tf.numpy_function(
            lambda ids, view: self.logits(ids, view, part),
            [ids, view],
            tf.float32,
            stateful=False,
        )
        return tf.ensure_shape(logits, (None, self.num_classes))

    def attach(self, dataset, view=0, part="train"):
        """Joins stored logits to a dataset, by the examples' ids.

        Args:
            dataset: `tf.data.Dataset` of batches `(ids, images)` or `(ids,
                images, labels)`, the images being this view of them.
            view: int or int64 scalar.
            part: str, as in `logits`.

        Returns:
            `tf.data.Dataset` of `(images, y)` for a `Distiller` without a
            teacher: `y` a dict of `teacher_logits`, and `labels` if any.
        """

        def join(ids, images, labels=None):
            y = {"teacher_logits": self.lookup(ids, view, part)}
            if labels is not None:
                y["labels"] = labels
            return images, y

        return dataset.map(join, num_parallel_calls=tf.data.AUTOTUNE)

    def check(self, **expected):
        """Raises a ValueError that names what it was made with otherwise.

        Args:
            **expected: entries that its manifest must have, as in `plan`; of
                `parts`, those that `describe` returns.
        """
        was, now = comparable(self.manifest), comparable(expected)
        _check_same({key: was.get(key) for key in now}, now, self.path)


class _Part:
    """The examples of one part: their ids and memory-mapped shards."""

    def __init__(self, path, name, manifest):
        self._name = name
        self._views = manifest["parts"][name]["views"]
        self._shard_examples = manifest["parts"][name]["shard_examples"]
        mapped = [
            np.load(path / file, mmap_mode="r")
            for file in _shard_files(name, manifest)
        ]
        self._memory = [shard.base for shard in mapped]
        # Not as np.memmap, which is slow to index.
        self._shards = [np.asarray(shard) for shard in mapped]
        ids = np.load(path / f"{name}-ids.npy")
        # Most sets are numbered from 0 on, and need no search.
        self._numbered = np.array_equal(ids, np.arange(len(ids)))
        self._count = len(ids)
        if not self._numbered:
            self._positions = np.argsort(ids, kind="stable")
            self._ids = ids[self._positions]
        self._rows_read = 0

    def rows(self, ids, view):
        if not 0 <= view < self._views:
            raise ValueError(
                f"view must be >= 0 and < {self._views}. Received: {view}"
            )
        positions = self._find(ids)
        shard_of, rest = np.divmod(positions, self._shard_examples)
        rows = np.empty(
            (len(ids), *self._shards[0].shape[2:]), self._shards[0].dtype
        )
        order = np.argsort(shard_of, kind="stable")
        ends = np.cumsum(np.bincount(shard_of, minlength=len(self._shards)))
        start = 0
        for shard, end in zip(self._shards, ends):
            if end > start:
                chosen = order[start:end]
                rows[chosen] = shard[view, rest[chosen]]
                start = end
        self._give_back_memory(len(ids))
        return rows

    def _find(self, ids):
        if self._numbered:
            known = (ids >= 0) & (ids < self._count)
            positions = ids
        else:
            found = np.searchsorted(self._ids, ids)
            found = np.minimum(found, self._count - 1)
            known = self._ids[found] == ids
            positions = self._positions[found]
        if not known.all():
            raise ValueError(
                f"ids must be in the store's part {self._name!r}. Received: "
                f"{ids[~known][0]} and {(~known).sum() - 1} more that are not"
            )
        return positions

    def _give_back_memory(self, rows):
        self._rows_read += rows
        if self._rows_read < _ROWS_KEPT or not hasattr(mmap, "MADV_DONTNEED"):
            return
        self._rows_read = 0
        for memory in self._memory:
            memory.madvise(mmap.MADV_DONTNEED)


def describe(parts):
    """What identifies the parts of a dataset, for a manifest to compare."""
    return {
        name: {
            "fingerprint": examples.fingerprint,
            "examples": len(examples),
        }
        for name, examples in parts.items()
    }


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
):
    """What a store will hold: its manifest, but for the checksums.

    Args:
        parts: dict of `train` and perhaps `validation` and `test` to their
            `Examples` or `StreamedExamples`.
        teacher: dict that says which teacher: JSON values.
        num_classes: int.
        spec: `views.ViewSpec` of the training examples.
        views_count: int, views of each of them.
        dtype: `float16` or `float32`.
        top_k: int; the number of classes whose logits are kept, the most
            likely ones. 0 keeps all.
        shard_views: int, about so many views a file.

    Returns:
        dict of JSON values.
    """
    if top_k >= num_classes:
        raise ValueError(
            "store.top_k must be less than the number of classes, or 0 for "
            f"all. Received: {top_k} of {num_classes}"
        )
    described = describe(parts)
    for name, examples in parts.items():
        count = views_count if name == "train" else 1
        shards = -(-len(examples) * count // shard_views)
        shards = min(shards, _MOST_SHARDS)
        # Whole batches, so that the teacher computes a batch in the same
        # company, and so to the same bits, whoever labels the shard.
        shard_examples = -(-len(examples) // shards)
        shard_examples = -(-shard_examples // _BATCH_SIZE) * _BATCH_SIZE
        described[name] |= {"views": count, "shard_examples": shard_examples}
    return {
        "format": FORMAT,
        "teacher": teacher,
        "num_classes": num_classes,
        "spec": vars(spec).copy(),
        "dtype": dtype,
        "top_k": top_k,
        "parts": described,
        "checksums": None,
    }


def is_finished(path, manifest):
    """Whether there is a finished store of this plan.

    Raises:
        ValueError: if there is one of another plan, finished or not.
    """
    path = pathlib.Path(path)
    begun = _read_manifest(path)
    if begun is None:
        _check_free(path)
        return False
    _check_same(comparable(begun), comparable(manifest), path)
    return begun["checksums"] is not None


def remove(path):
    """Removes a store's files; other files beside them remain."""
    path = pathlib.Path(path)
    manifest = _read_manifest(path)
    if manifest is not None:
        for name in [*_files(manifest), "manifest.json"]:
            (path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.rmdir()


def _check_free(path):
    if path.exists() and not path.is_dir():
        raise ValueError(f"a store needs a directory. Received: {path}, a file")
    found = files.files_below(path)
    # Another process may have begun it just now.
    if found and _read_manifest(path) is None:
        raise ValueError(
            "a store needs a new or empty directory. Received: "
            f"{path} without manifest.json, with {files.named(sorted(found))}; "
            "take another --workdir"
        )


def comparable(manifest):
    """What a store holds, as a flat dict, however it is cut into files."""
    fields = config_lib.flatten(
        {key: value for key, value in manifest.items() if key != "checksums"}
    )
    return {
        key: value
        for key, value in fields.items()
        if not key.endswith(".shard_examples")
    }


def label(path, manifest, parts, teacher, *, shard=0, num_shards=1, verbose=2):
    """Writes a store, or those of its files that are not there yet.

    Files are written whole or not at all. `num_shards` processes, on as many
    machines as share the directory, may write one store together; which ends
    last, finishes it. The bytes do not depend on their number.

    Args:
        path: the directory.
        manifest: as `plan` returned it.
        parts: as given to `plan`.
        teacher: function of images -> float32 logits.
        shard: int, which of the processes this is, from 0.
        num_shards: int, how many there are.
        verbose: 1 for a progress bar, 2 for a line a file.

    Returns:
        bool, whether the store is finished.

    Raises:
        ValueError: if the directory holds another store, or the logits do
            not fit the dtype.
    """
    path = pathlib.Path(path)
    if is_finished(path, manifest):
        return True
    # One that is begun goes on in files of its own size.
    manifest = _read_manifest(path) or manifest
    path.mkdir(parents=True, exist_ok=True)
    if not (path / "manifest.json").exists():
        files.write_json(path / "manifest.json", manifest)
    for name, examples in parts.items():
        if not (path / f"{name}-ids.npy").exists():
            _save(path / f"{name}-ids.npy", examples.ids)

    mine = {}
    for name in parts:
        shards = list(enumerate(_shard_files(name, manifest)))
        mine[name] = [
            index
            for index, file in shards[shard::num_shards]
            if not (path / file).exists()
        ]
    progress = _Progress(manifest, mine, verbose)
    for name, examples in parts.items():
        if mine[name]:
            _label_part(
                path, manifest, name, examples, mine[name], teacher, progress
            )
    names = _files(manifest)
    if not all((path / name).exists() for name in names):
        return False
    checksums = {name: digests.sha256_of_file(path / name) for name in names}
    files.write_json(
        path / "manifest.json", {**manifest, "checksums": checksums}
    )
    return True


def _label_part(path, manifest, name, examples, indices, teacher, progress):
    """Writes the shards `indices` of a part, in one pass over its examples."""
    part = manifest["parts"][name]
    size = part["shard_examples"]
    ranges = [
        np.arange(index * size, min((index + 1) * size, len(examples)))
        for index in indices
    ]
    batches = pipeline.labelling_batches(
        examples,
        examples.subset(np.concatenate(ranges)),
        batch_size=_BATCH_SIZE,
        views_count=part["views"],
        spec=views.ViewSpec(**manifest["spec"])
        if name == "train"
        else views.ViewSpec(),
    )
    # Shards are of whole batches, so that none lies across a border.
    batches = iter(batches)
    predict = tf.function(teacher, reduce_retracing=True)
    shard_files = _shard_files(name, manifest)
    for index, positions in zip(indices, ranges):
        shape = (part["views"], len(positions))
        rows = np.empty(shape, _row_dtype(manifest))
        for start in range(0, len(positions), _BATCH_SIZE):
            for _ in range(part["views"]):
                view, images = next(batches)
                logits = predict(images).numpy()
                stop = start + len(logits)
                rows[int(view), start:stop] = _to_rows(logits, manifest)
                progress.add(len(logits))
        _save(path / shard_files[index], rows)
        progress.end_file(path / shard_files[index])


def _row_dtype(manifest):
    """What is stored of a view: a vector of logits, or a record."""
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


def _to_rows(logits, manifest):
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
    rows = np.empty(len(logits), _row_dtype(manifest))
    rows["classes"] = top
    rows["logits"] = np.take_along_axis(logits, top, axis=-1)
    rest = np.take_along_axis(logits, others, axis=-1).astype("float64")
    rows["rest"] = np.logaddexp.reduce(rest, axis=-1)
    return rows


def _dense(rows, num_classes):
    """Logits of all classes from records of the most likely ones."""
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


class _Progress:
    """A bar of the views to label, or a line for each file."""

    def __init__(self, manifest, indices, verbose):
        self._total = sum(
            part["views"]
            * sum(
                min(part["shard_examples"], part["examples"] - start)
                for start in (i * part["shard_examples"] for i in indices[name])
            )
            for name, part in manifest["parts"].items()
        )
        self._done = 0
        self._began = time.perf_counter()
        self._bar = None
        if verbose == 1 and self._total:
            self._bar = keras.utils.Progbar(
                self._total,
                unit_name="view",
                stateful_metrics=["views_per_second"],
            )

    def add(self, count):
        self._done += count
        if self._bar:
            rate = self._done / (time.perf_counter() - self._began)
            self._bar.update(self._done, [("views_per_second", rate)])

    def end_file(self, path):
        if self._bar:
            return
        rate = self._done / (time.perf_counter() - self._began)
        left = (self._total - self._done) / rate
        _log.info(
            "%s: %d of %d views, %.0f a second, %.0f seconds left",
            path,
            self._done,
            self._total,
            rate,
            left,
        )


def _shard_files(name, manifest):
    part = manifest["parts"][name]
    count = -(-part["examples"] // part["shard_examples"])
    return [f"{name}-{i:05d}-of-{count:05d}.npy" for i in range(count)]


def _files(manifest):
    """Every file of a store but the manifest."""
    return [
        file
        for name in manifest["parts"]
        for file in (f"{name}-ids.npy", *_shard_files(name, manifest))
    ]


def _save(path, array):
    with files.replacing_file(path) as temporary:
        np.save(temporary, array)


def _read_manifest(path):
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        if not isinstance(manifest, dict):
            raise ValueError(f"{type(manifest).__name__} instead of an object")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise ValueError(
            "a logit store's manifest must be as it was written. Received: "
            f"{path / 'manifest.json'}, which is damaged ({error})"
        ) from error
    if manifest.get("format") != FORMAT:
        raise ValueError(
            f"a logit store must be of format {FORMAT}. Received: {path}, "
            f"format {manifest.get('format')}"
        )
    return manifest


def _check_same(was, now, path):
    differing = config_lib.differing(was, now)
    if differing:
        raise ValueError(
            "a logit store must be of the same teacher, pictures and views. "
            f"Received: {path}. Differing: {'; '.join(differing)}. Label anew "
            "into another --workdir, or remove it"
        )

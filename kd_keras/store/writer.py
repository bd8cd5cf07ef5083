"""Labels views with a teacher and writes a store, file by file."""

import logging
import pathlib
import time

import numpy as np
import tensorflow as tf

from kd_keras.data import augmentation as views
from kd_keras.data import pipeline
from kd_keras.store import ids as ids_lib
from kd_keras.store import layout, records
from kd_keras.store import manifest as manifest_lib
from kd_keras.teachers.outputs import as_outputs
from kd_keras.utils import digests, files, locks, progress

_log = logging.getLogger(__name__)

# To wait for a process that begins the same store.
_PLAN_SECONDS = 60


def label(path, manifest, parts, teacher, **options):
    """Writes a store of a teacher's outputs; see `write`.

    Args:
        path, manifest, parts: as of `write`.
        teacher: function of images -> float32 logits, or `Outputs` with the
            features of the plan.
        **options: of `write`.

    Returns:
        bool, whether the store is finished.

    Raises:
        ValueError: as `write`.
    """

    def outputs_of(name, positions):
        return _predicted(manifest, name, parts[name], positions, teacher)

    return write(path, manifest, parts, outputs_of, **options)


def write(
    path, manifest, parts, outputs_of, *, shard=0, num_shards=1, verbose=2
):
    """Writes a store, or those of its files that are missing or damaged.

    Files are written whole or not at all. `num_shards` processes may write
    one store together, on machines that share the directory; the last one
    finishes it. The bytes do not depend on the number of processes.

    Args:
        path: the directory.
        manifest: dict that `plan` returned.
        parts: as given to `plan`.
        outputs_of: function of the name of a part and of the positions of
            some of its examples, an int array, that returns an iterator of
            `(view, arrays)`: the logits, if any, and the features of
            `layout.batch_size` examples; all views of a batch, then of the
            next.
        shard: int, number of this process, from 0.
        num_shards: int, number of processes.
        verbose: 1 for a progress bar, 2 for a line a file.

    Returns:
        bool, whether the store is finished.

    Raises:
        ValueError: if the directory holds another store, or the logits or
            features are not those of the plan or do not fit its dtype.
    """
    path = pathlib.Path(path)
    # Processes that begin at the same time must agree on one plan.
    with locks.holding(path, part="plan", patience=_PLAN_SECONDS):
        if manifest_lib.is_finished(path, manifest):
            return True
        # A store that was begun keeps the size of its files.
        manifest = _begin(path, manifest, parts)
    damaged = manifest_lib.damaged_files(path, manifest)
    repaired = [name for name in damaged if name in manifest["checksums"]]
    if repaired:
        _log.warning(
            "store: writes %s again, which is missing or damaged",
            files.named(repaired),
        )
    missing = {
        name: _missing_shards(damaged, manifest, name, shard, num_shards)
        for name in parts
    }
    report = _Progress(_count_views(manifest, missing), verbose)
    for name in parts:
        if missing[name]:
            _label_part(path, manifest, name, missing[name], outputs_of, report)
    return manifest_lib.is_finished(path, manifest)


def _begin(path, manifest, parts):
    """Writes the manifest and the ids where they are not; returns the first.

    A store that was begun keeps the size of its files.
    """
    path.mkdir(parents=True, exist_ok=True)
    manifest = manifest_lib.read(path) or manifest
    checksums = manifest["checksums"]
    if checksums is None:
        checksums = _adopted(path, manifest)
    manifest = {**manifest, "checksums": checksums}
    damaged = set(manifest_lib.damaged_files(path, manifest))
    # First, so that an interrupted store is known by its manifest.
    manifest_lib.write(path, manifest)
    for name, examples in parts.items():
        arrays = ids_lib.arrays(name, manifest, examples.ids)
        for file in damaged.intersection(arrays):
            checksums[file] = _save(path / file, arrays[file])
    manifest_lib.write(path, manifest)
    return manifest


def _adopted(path, manifest):
    """The checksums of shards that version 0.2 wrote before it was stopped.

    It had none of an unfinished store. Files of another shape are left out.
    """
    row = records.Logits(manifest).row_dtype
    return {
        name: digests.sha256_of_file(path / name)
        for part in manifest["parts"]
        for index, name in enumerate(layout.shard_files(part, manifest))
        if records.is_shard(path / name, manifest, part, index, row)
    }


def _missing_shards(damaged, manifest, part, shard, num_shards):
    """Indices of the shards of a part that this process has to write."""
    shards = list(enumerate(_shards(part, manifest)))
    return [
        index
        for index, names in shards[shard::num_shards]
        if not set(names).isdisjoint(damaged)
    ]


def _shards(part, manifest):
    """Names of the files of each shard of a part, one for each array."""
    return list(
        zip(
            *(
                layout.shard_files(part, manifest, array)
                for array in layout.array_names(manifest)
            )
        )
    )


def _count_views(manifest, shards):
    """Number of views in some shards: `{part: indices}`."""
    return sum(
        part["views"]
        * sum(
            min(part["shard_examples"], part["examples"] - start)
            for start in (i * part["shard_examples"] for i in shards[name])
        )
        for name, part in manifest["parts"].items()
    )


def _predicted(manifest, name, examples, positions, teacher):
    """The outputs of a teacher for some examples; see `write`."""
    batches = pipeline.labelling_batches(
        examples,
        examples.subset(positions),
        batch_size=layout.batch_size(name, manifest),
        views_count=manifest["parts"][name]["views"],
        spec=views.ViewSpec.from_record(manifest["spec"])
        if name == "train"
        else views.ViewSpec(),
    )
    predict = tf.function(teacher, reduce_retracing=True)
    for view, images in batches:
        yield int(view), _as_arrays(predict(images), manifest)


def _label_part(path, manifest, name, indices, outputs_of, report):
    """Writes the shards `indices` of a part, in one pass over its examples."""
    part = manifest["parts"][name]
    size = part["shard_examples"]
    ranges = [
        np.arange(index * size, min((index + 1) * size, part["examples"]))
        for index in indices
    ]
    # Shards hold whole batches, so no batch spans two shards.
    batches = iter(outputs_of(name, np.concatenate(ranges)))
    arrays = records.arrays(manifest)
    shards = _shards(name, manifest)
    batch_size = layout.batch_size(name, manifest)
    for index, positions in zip(indices, ranges):
        shape = (part["views"], len(positions))
        rows = [np.empty(shape, array.row_dtype) for array in arrays]
        for start in range(0, len(positions), batch_size):
            for _ in range(part["views"]):
                view, outputs = next(batches)
                stop = min(start + batch_size, len(positions))
                for array, row, values in zip(arrays, rows, outputs):
                    row[view, start:stop] = array.encode(values)
                report.add(stop - start)
        _save_shard(path, dict(zip(shards[index], rows)))
        report.end_file(path / shards[index][0])


def _as_arrays(outputs, manifest):
    """The outputs of a teacher as arrays, in the order of the store's.

    Raises:
        ValueError: if the teacher returns no logits where they are planned,
            or another number of features.
    """
    outputs = as_outputs(outputs)
    planned = len(manifest.get("features", ()))
    if len(outputs.features) != planned:
        raise ValueError(
            f"the teacher must return {planned} features. Received: "
            f"{len(outputs.features)}"
        )
    if not manifest["num_classes"]:
        return [feature.numpy() for feature in outputs.features]
    if outputs.logits is None:
        raise ValueError(
            "the teacher must return logits for "
            f"{manifest['num_classes']} classes. Received: features alone"
        )
    return [x.numpy() for x in (outputs.logits, *outputs.features)]


def _save(path, array):
    """Writes an array; returns the SHA-256 of the file."""
    with files.replacing_file(path) as temporary:
        np.save(temporary, array)
        return digests.sha256_of_file(temporary)


def _save_shard(path, rows):
    """Writes the files of a shard, and their checksums into the manifest.

    Args:
        path: path of the store.
        rows: dict of names of files to arrays.
    """
    checksums = {name: _save(path / name, rows[name]) for name in rows}
    with locks.holding(path, part="plan", patience=_PLAN_SECONDS):
        manifest = manifest_lib.read(path)
        manifest["checksums"].update(checksums)
        manifest_lib.write(path, manifest)


class _Progress:
    """Progress of labelling: a bar, or a line for each file."""

    def __init__(self, total, verbose):
        self._total = total
        self._done = 0
        self._began = time.perf_counter()
        self._bar = None
        if verbose == 1 and total:
            self._bar = progress.bar(
                total,
                "view",
                verbose=verbose,
                stateful_metrics=["views_per_second"],
            )

    def add(self, count):
        self._done += count
        if self._bar:
            self._bar.update(self._done, [("views_per_second", self._rate())])

    def end_file(self, path):
        if self._bar:
            return
        rate = self._rate()
        _log.info(
            "%s: %d of %d views, %.0f a second, %.0f seconds left",
            path,
            self._done,
            self._total,
            rate,
            (self._total - self._done) / rate,
        )

    def _rate(self):
        return self._done / (time.perf_counter() - self._began)

"""Tasks of a store: a shard each, in any process and any order.

A task writes the files of one shard: the logits and the features of one range
of examples. It reads only these examples, writes its files whole or not at all,
and ends with a record of their checksums, so that no file is read again to
finish the store. A task that runs twice writes the same bytes.
"""

import dataclasses
import logging

import numpy as np

from kd_keras.store import layout, records, task_records
from kd_keras.utils import digests, files, tables

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Task:
    """A shard of a store.

    Attributes:
        number: int, from 0, over all parts.
        part: `train`, `validation` or `test`.
        index: int, the number of the shard in its part.
        positions: range, the positions of its examples in the part.
        views: int, how many views it stores in all.
        files: tuple of the names of its files, one for each array.
        record: str, the name of the file with their checksums.
    """

    number: int
    part: str
    index: int
    positions: range
    views: int
    files: tuple
    record: str


def count(manifest):
    """The number of tasks of a store.

    Args:
        manifest: dict; see `manifest.plan`.
    """
    return sum(layout.num_shards(part, manifest) for part in manifest["parts"])


def all_tasks(manifest):
    """The tasks of a store, in the order of their numbers: list of `Task`.

    Args:
        manifest: dict; see `manifest.plan`.
    """
    found = []
    for part in manifest["parts"]:
        for index in range(layout.num_shards(part, manifest)):
            found.append(_task(manifest, len(found), part, index))
    return found


def find(manifest, number):
    """The task with a number.

    Args:
        manifest: dict; see `manifest.plan`.
        number: int.

    Raises:
        ValueError: if there is none.
    """
    index = number
    for part in manifest["parts"]:
        shards = layout.num_shards(part, manifest)
        if 0 <= index < shards:
            return _task(manifest, number, part, index)
        index -= shards
    raise ValueError(
        "the number of a task must be from 0 to "
        f"{count(manifest) - 1}, as this store has "
        f"{tables.counted(count(manifest), 'task')}. Received: {number}"
    )


def _task(manifest, number, part, index):
    fields = manifest["parts"][part]
    start = index * fields["shard_examples"]
    size = layout.shard_size(part, manifest, index)
    return Task(
        number=number,
        part=part,
        index=index,
        positions=range(start, start + size),
        views=size * fields["views"],
        files=tuple(
            layout.shard_file(part, manifest, index, array)
            for array in layout.array_names(manifest)
        ),
        record=task_records.name(layout.shard_file(part, manifest, index)),
    )


def left(directory, manifest):
    """The tasks whose files are missing or damaged: list of `Task`.

    Reads all files, to compare them with their checksums.

    Args:
        directory: `places.Directory` of the store.
        manifest: dict; see `manifest.plan`.
    """
    checksums = directory.checksums(manifest)
    damaged = set(directory.damaged({**manifest, "checksums": checksums}))
    found = [
        task
        for task in all_tasks(manifest)
        if not damaged.isdisjoint(task.files)
    ]
    repaired = damaged.intersection(checksums)
    if repaired:
        _log.warning(
            "store: writes %s again, which is missing or damaged",
            files.named(sorted(repaired)),
        )
        # For other processes, and for the next one after an interruption. Not
        # those that were never done: another process may just end one.
        directory.forget(
            [task for task in found if not repaired.isdisjoint(task.files)]
        )
    return found


def run(directory, manifest, task, outputs_of, report=lambda views: None):
    """Runs a task, unless its files exist and are whole.

    Args:
        directory: `places.Directory` of the store.
        manifest: dict; see `manifest.plan`.
        task: `Task`.
        outputs_of: as of `writer.write`.
        report: function that is called with each number of views that were
            labelled.

    Returns:
        dict of the names of its files to their SHA-256.

    Raises:
        ValueError: as `writer.write`.
    """
    known = directory.checksums(manifest, [task])
    if all(
        name in known and directory.is_whole(name, known[name])
        for name in task.files
    ):
        return {name: known[name] for name in task.files}
    rows = _rows(manifest, task, outputs_of, report)
    with directory.folder() as folder:
        checksums = {}
        for name, array in zip(task.files, rows, strict=True):
            np.save(folder / name, array)
            checksums[name] = digests.sha256_of_file(folder / name)
        task_records.write(folder / task.record, checksums)
        directory.add(folder, [*task.files, task.record])
    return checksums


def _rows(manifest, task, outputs_of, report):
    """The arrays of a task's files: list, `(views, examples, ...)` each."""
    part = manifest["parts"][task.part]
    arrays = records.arrays(manifest)
    count = len(task.positions)
    rows = [
        np.empty((part["views"], count), array.row_dtype) for array in arrays
    ]
    # Files hold whole batches, so no batch spans two of them.
    size = layout.batch_size(task.part, manifest)
    batches = iter(outputs_of(task.part, np.array(task.positions)))
    for start in range(0, count, size):
        stop = min(start + size, count)
        for _ in range(part["views"]):
            view, outputs = next(batches)
            for array, row, values in zip(arrays, rows, outputs, strict=True):
                row[view, start:stop] = array.encode(values)
            report(stop - start)
    return rows

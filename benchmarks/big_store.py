"""Measures a store of a billion images: plan, start, random reads, memory.

    python -m benchmarks.big_store [--shard_views=50000]

The store has the logits of one view of each image, 1,000 classes in float16:
2 TB in files of 100 MB by default, which are sparse, so that they take about
200 MB of the disk. In those rows that are read, the first logit is a number
that tells whether the right row was read. Prints JSON:

- `files`, and `manifest_mb`, the size of the manifest.
- `plan_seconds`, and `open_seconds` to open the store, best of three;
  `open_cpu_seconds`, its processor time, which a busy machine does not change.
- `reads_per_second`, of 1,000 random images that are read one by one, and
  `rows_per_second`, of the same images in batches of 250. They lie in many
  files, whose checksums are not compared.
- `checked_mb_per_second`, the first use of a file, whose checksum is compared.
- `start_mb`, the peak of the resident memory before the plan, and `peak_mb`.
"""

import json
import os
import pathlib
import resource
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks import commands, scale
from kd_keras import store
from kd_keras.data import augmentation
from kd_keras.store import layout, records
from kd_keras.store import manifest as manifests
from kd_keras.utils import digests

EXAMPLES, CLASSES, READS, BATCH = 10**9, 1000, 1000, 250
SHARD_VIEWS = 50_000
# Integers up to this are exact in float16.
_NUMBERS = 2048


def main():
    options = commands.numbers(__doc__, shard_views=SHARD_VIEWS)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "store")
        print(json.dumps(measure(path, EXAMPLES, **vars(options)), indent=2))


def measure(path, examples, *, shard_views=SHARD_VIEWS):
    """Makes a store of sparse files, and reads it: dict of figures.

    Args:
        path: path of the store.
        examples: int, the number of images.
        shard_views: int, views in a file.
    """
    start_mb = peak_mb()
    began = time.perf_counter()
    manifest = plan(examples, shard_views=shard_views)
    figures = {"plan_seconds": time.perf_counter() - began}
    ids = np.random.default_rng(0).integers(0, examples, READS)
    make(path, manifest, ids)
    figures["files"] = len(layout.all_files(manifest))
    figures["manifest_mb"] = (path / manifests.NAME).stat().st_size / 1e6
    cpu_seconds = time.process_time()
    seconds = [_timed(store.LogitStore.open, path) for _ in range(3)]
    figures["open_seconds"] = min(seconds)
    figures["open_cpu_seconds"] = (time.process_time() - cpu_seconds) / 3
    figures |= _read(path, ids)
    return {**figures, "start_mb": start_mb, "peak_mb": peak_mb()}


def plan(examples, *, shard_views=SHARD_VIEWS):
    """The plan of the store of some images."""
    return store.plan(
        {"train": scale.Images(examples)},
        teacher={"fingerprint": "synthetic"},
        num_classes=CLASSES,
        spec=augmentation.ViewSpec(),
        views_count=1,
        shard_views=shard_views,
    )


def make(path, manifest, ids):
    """Writes a store of zeros, but for the first logits of some images."""
    path.mkdir()
    (array,) = records.arrays(manifest)
    for index, name in enumerate(layout.shard_files("train", manifest)):
        shape = records.shard_shape(manifest, "train", index, array.row_dtype)
        _write_zeros(path / name, shape, array.row_dtype.base)
    checksums = _checksums(path, manifest)
    size = manifest["parts"]["train"]["shard_examples"]
    for example_id in ids:
        index, place = divmod(int(example_id), size)
        file = path / layout.shard_file("train", manifest, index)
        rows = np.load(file, mmap_mode="r+")
        rows[0, place, 0] = example_id % _NUMBERS
    manifests.write(path, {**manifest, "checksums": checksums})


def _write_zeros(path, shape, dtype):
    header = {
        "descr": dtype.str,
        "fortran_order": False,
        "shape": shape,
    }
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + int(np.prod(shape)) * dtype.itemsize)


def _checksums(path, manifest):
    """The SHA-256 of files of zeros: equal ones are read once."""
    names = layout.all_files(manifest)
    first, last = (digests.sha256_of_file(path / names[i]) for i in (0, -1))
    return {**dict.fromkeys(names, first), names[-1]: last}


def _read(path, ids):
    opened = store.LogitStore.open(path, verify=False)
    expected = ids % _NUMBERS

    def one_by_one():
        read = [opened.logits([example_id])[0, 0] for example_id in ids]
        np.testing.assert_array_equal(read, expected)

    def in_batches():
        for start in range(0, len(ids), BATCH):
            read = opened.logits(ids[start : start + BATCH])
            np.testing.assert_array_equal(
                read[:, 0], expected[start : start + BATCH]
            )

    size = opened.manifest["parts"]["train"]["shard_examples"]
    untouched = np.setdiff1d(np.arange(READS), ids // size)[0] * size
    checked = store.LogitStore.open(path)
    megabytes = size * CLASSES * 2 / 1e6
    return {
        "reads_per_second": len(ids) / _timed(one_by_one),
        "rows_per_second": len(ids) / _timed(in_batches),
        "checked_mb_per_second": megabytes
        / _timed(checked.logits, [untouched]),
    }


def _timed(function, *arguments):
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def peak_mb():
    """The peak of this process's resident memory."""
    # In kilobytes on Linux.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()

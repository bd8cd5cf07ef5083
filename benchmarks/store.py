"""Measures a store of ten million views: logits a second, and memory.

    taskset -c 0 python -m benchmarks.store

Writes a synthetic store (1 M examples, 10 views, 10 classes, float16: 200 MB
on disk) and reads all of it through `tf.data`, in batches of 512 in random
order. Prints JSON: `rows_per_second`, logits of one view each;
`resident_mb`, the resident memory before the first view and after each; and
`store_mb`, the size of the store's files.
"""

import json
import os
import pathlib
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from kd_keras import store
from kd_keras.data import augmentation, datasets

EXAMPLES, VIEWS, CLASSES, BATCH = 1_000_000, 10, 10, 512


def main():
    with tempfile.TemporaryDirectory() as path:
        write(path)
        print(json.dumps(measure(path)))


def write(path):
    """Writes the store with `store.label` and a teacher that costs nothing."""
    parts = {"train": datasets.Examples(np.zeros((EXAMPLES, 1, 1, 1), "uint8"))}
    manifest = store.plan(
        parts,
        teacher={"fingerprint": "synthetic"},
        num_classes=CLASSES,
        spec=augmentation.ViewSpec(),
        views_count=VIEWS,
    )
    store.label(
        path,
        manifest,
        parts,
        lambda images: tf.random.normal((tf.shape(images)[0], CLASSES)),
        verbose=0,
    )


def measure(path):
    """Reads every view of the store once: dict of figures."""
    opened = store.LogitStore.open(path)
    order = np.random.default_rng(0).permutation(EXAMPLES)
    ids = tf.data.Dataset.from_tensor_slices(order).batch(BATCH)
    pass_over(opened, ids.take(100), 0)
    memory, rates = [resident_mb()], []
    for view in range(VIEWS):
        began = time.perf_counter()
        pass_over(opened, ids, view)
        rates.append(EXAMPLES / (time.perf_counter() - began))
        memory.append(resident_mb())
    return {
        "rows_per_second": float(np.median(rates)),
        "resident_mb": memory,
        "store_mb": sum(f.stat().st_size for f in pathlib.Path(path).iterdir())
        / 2**20,
    }


def pass_over(opened, ids, view):
    view = np.int64(view)
    for _ in ids.map(lambda i: opened.lookup(i, view)).prefetch(2):
        pass


def resident_mb():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()

"""A store of ten million views: logits a second into tf.data, and memory.

    taskset -c 0 python -m benchmarks.store

Writes a synthetic store (1 M examples, 10 views, 10 classes, float16: 200 MB
on disk), reads all of it in batches of 512 in random order through `tf.data`,
and prints JSON: logits (rows) a second, and the resident memory before the
first view, after each, and of the store's files at the end.
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
from kd_keras.data import augmentation as views
from kd_keras.data import datasets

EXAMPLES, VIEWS, CLASSES, BATCH = 1_000_000, 10, 10, 512


def main():
    with tempfile.TemporaryDirectory() as path:
        write(path)
        print(json.dumps(measure(path)))


def write(path):
    """By `store.label` itself, with a teacher that costs nothing."""
    parts = {"train": datasets.Examples(np.zeros((EXAMPLES, 1, 1, 1), "uint8"))}
    manifest = store.plan(
        parts,
        teacher={"fingerprint": "synthetic"},
        num_classes=CLASSES,
        spec=views.ViewSpec(),
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

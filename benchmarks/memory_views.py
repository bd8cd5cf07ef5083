"""Measures views of 32 x 32 images in memory: `translate`, `mirror`, `cutout`.

    python benchmarks/memory_views.py [ROUNDS]

Prints JSON: medians of images a second, and of processor time. Runs with any
version of the package that is on PYTHONPATH, too.
"""

import json
import os
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from kd_keras.data import augmentation, datasets, pipeline

COUNT = 20_000


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    images = np.random.default_rng(0).integers(
        0, 256, (COUNT, 32, 32, 3), np.uint8
    )
    spec = augmentation.ViewSpec(translate=2, mirror="random", cutout=8)
    examples = datasets.Examples(images)
    rates = []
    for _ in range(rounds + 1):
        batches = pipeline.training_batches(
            examples, batch_size=512, seed=0, epochs=1, labels=False, spec=spec
        )
        began = time.perf_counter(), time.process_time()
        for _ in batches:
            pass
        ended = time.perf_counter(), time.process_time()
        rates.append([COUNT / (e - b) for b, e in zip(began, ended)])
    # The first round warms up.
    print(json.dumps([statistics.median(kind) for kind in zip(*rates[1:])]))


if __name__ == "__main__":
    main()

"""Measures augmented views a second: the input pipeline alone, on one core.

    taskset -c 0 python benchmarks/views.py

Prints the median of five rounds for each augmentation, of 32 x 32 images in
batches of 512, and its ratio to gathering the batches alone.
"""

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from kd_keras.data import augmentation, datasets, pipeline

COUNT, ROUNDS = 20_000, 5
AUGMENTATIONS = {
    "gather alone": {},
    "translate": {"translate": 2},
    "translate, mirror": {"translate": 2, "mirror": "alternating"},
    "translate, mirror, cutout": {
        "translate": 2,
        "mirror": "random",
        "cutout": 8,
    },
    "RandAugment": {"rand_augment": 2},
    "TrivialAugment": {"trivial_augment": True},
}


def main():
    shape = (COUNT, 32, 32, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    examples = datasets.Examples(images)
    rates = {name: [] for name in AUGMENTATIONS}
    for _ in range(ROUNDS + 1):
        for name, fields in AUGMENTATIONS.items():
            batches = pipeline.training_batches(
                examples,
                batch_size=512,
                seed=0,
                epochs=1,
                labels=False,
                spec=augmentation.ViewSpec(**fields),
            )
            began = time.perf_counter()
            for _ in batches:
                pass
            rates[name].append(COUNT / (time.perf_counter() - began))
    # The first round warms up.
    medians = {name: statistics.median(r[1:]) for name, r in rates.items()}
    for name, rate in medians.items():
        share = rate / medians["gather alone"]
        print(f"{name:28}{rate:>10,.0f} views/s{share:>8.2f} x gather")


if __name__ == "__main__":
    main()

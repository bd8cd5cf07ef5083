"""Measures a teacher in bfloat16 against the same one in float32.

    python -m benchmarks.teacher_precision [--images=2000] [--rounds=5]

The shipped teacher of CIFAR-10 predicts test images in batches of 500. The two
precisions take turns; medians of the rounds but the first. Prints images a
second, their ratio, and how the logits differ: the largest and the mean
difference as shares of their spread, and images whose predicted class differs.
"""

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import kd_keras
from benchmarks import commands
from kd_keras.data import sources

BATCH = 500
TEACHER = commands.REPOSITORY / "savedmodels" / "cifar10_teacher"


def main():
    options = commands.numbers(__doc__, images=2000, rounds=5)
    images = sources.load_dataset("cifar10").test.images[: options.images]
    functions = {
        name: tf.function(kd_keras.load_teacher(TEACHER, precision=name))
        for name in ("float32", "bfloat16")
    }
    seconds = {name: [] for name in functions}
    logits = {}
    for _ in range(options.rounds + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            logits[name] = predict(function, images)
            seconds[name].append(time.perf_counter() - began)
    rates = {
        name: len(images) / statistics.median(all_seconds[1:])
        for name, all_seconds in seconds.items()
    }
    for name, rate in rates.items():
        print(f"{name:20}{rate:>10,.0f} images/s")
    print(f"{'ratio':20}{rates['bfloat16'] / rates['float32']:>10.2f}")
    exact, rounded = logits["float32"], logits["bfloat16"]
    errors = np.abs(rounded - exact) / exact.std()
    print(f"{'largest difference':20}{errors.max():>10.4f}")
    print(f"{'mean difference':20}{errors.mean():>10.4f}")
    others = (exact.argmax(-1) != rounded.argmax(-1)).sum()
    print(f"{'another class':20}{others:>10} of {len(images)}")


def predict(function, images):
    """The logits of images: float32 array `(n, 10)`."""
    batches = np.split(images, range(BATCH, len(images), BATCH))
    return np.concatenate([function(tf.constant(x)).numpy() for x in batches])


if __name__ == "__main__":
    main()

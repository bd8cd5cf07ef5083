"""Measures `Distiller.fit` on a user's own arrays and tf.data datasets.

    python -m benchmarks.own_data [--epochs=12] [--images=16384]

A small student of random images of 16 x 16, so that an epoch takes about a
second. TensorFlow's autotuning sleeps between its checks for 10, 20, 40 ms and
so on, and an epoch does not end before it wakes. `fit` turns autotuning off,
unless a dataset asks for it. Prints the seconds of the median and the slowest
epoch of each, without the first one, and the ratio of the medians.
"""

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import kd_keras
from benchmarks import commands

BATCH = 128
ASKED_FOR = "dataset that asks for autotuning"


def main():
    options = commands.numbers(__doc__, epochs=12, images=16384)
    random = np.random.default_rng(0)
    shape = (options.images, 16, 16, 3)
    images = random.integers(0, 256, shape).astype("float32")
    medians = {}
    for name, data in contestants(images).items():
        seconds = measure(data, options.epochs)
        medians[name] = statistics.median(seconds)
        print(f"{name:34}{medians[name]:>7.2f} s, {max(seconds):.2f} s")
    ratio = medians[ASKED_FOR] / medians["dataset"]
    print(f"{'ratio':34}{ratio:>7.2f}")


def contestants(images):
    """The same images by name, as `fit` takes them."""
    dataset = (
        tf.data.Dataset.from_tensor_slices(images)
        .shuffle(len(images))
        .batch(BATCH)
        .prefetch(tf.data.AUTOTUNE)
    )
    options = tf.data.Options()
    options.autotune.enabled = True
    return {
        "arrays": images,
        "dataset": dataset,
        ASKED_FOR: dataset.with_options(options),
    }


def measure(data, epochs):
    """Seconds of each epoch but the first: list of float.

    Args:
        data: array or `tf.data.Dataset`.
        epochs: int.
    """
    distiller = kd_keras.Distiller(_network(), _network())
    distiller.compile("sgd")
    ends = []
    at_ends = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())
    )
    given = {"batch_size": BATCH} if isinstance(data, np.ndarray) else {}
    distiller.fit(data, epochs=epochs, verbose=0, callbacks=[at_ends], **given)
    return np.diff(ends).tolist()


def _network():
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(24, 3, activation="relu"),
            keras.layers.Conv2D(24, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),
        ]
    )


if __name__ == "__main__":
    main()

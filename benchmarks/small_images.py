"""Measures one thread beside all of them on images of several sizes.

    python -m benchmarks.small_images [--images=1000] [--rounds=5]

Threads that work on small images wait for Python's lock more than they work.
Prints the microseconds of an image, and how many times as fast all threads
are: medians of rounds in which both take turns. The constants
`PARALLEL_PIXELS` of `kd_keras.data` follow from this: images of fewer pixels
are left to one thread. The images are parts of scikit-learn's `china.jpg` (CC
BY, Adam Jones).
"""

import functools
import io
import os
import statistics
import time
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks import commands
from kd_keras.data import augmentation, decoding
from kd_keras.utils import threads

SIDES = (28, 32, 48, 64, 96, 128, 160, 192)


def main():
    options = commands.numbers(__doc__, images=1000, rounds=5)
    print(f"{'':12}{'pixels':>12}{'one, us':>9}{'all, us':>9}{'ratio':>7}")
    for side in SIDES:
        for name, work in contestants(side, options.images).items():
            one, every = (
                1e6 * seconds / options.images
                for seconds in measure(work, options.rounds)
            )
            print(
                f"{name:12}{f'{side} x {side}':>12}{one:>9.0f}{every:>9.0f}"
                f"{one / every:>7.2f}",
                flush=True,
            )


def contestants(side, count):
    """Work on images of `side` x `side` pixels: functions by name."""
    images = photos(side, count)
    ids = tf.range(count, dtype=tf.int64)
    boxes = np.full((count, 4), side * 3 // 4, "int32")
    boxes[:, :2] = 1
    spec = augmentation.ViewSpec(rand_augment=2, magnitude=9)
    decode = decoding.Decoding((side, side, 3))

    def reading(kind):
        files = tf.constant([encode(image, kind) for image in images])
        return functools.partial(decode.read, files, ids, name=str)

    return {
        "PNG": reading("PNG"),
        "JPEG": reading("JPEG"),
        "crops": functools.partial(
            decoding.resized_parts, tf.constant(images), boxes
        ),
        "RandAugment": functools.partial(
            augmentation.make_views, tf.constant(images), ids, view=0, spec=spec
        ),
    }


def measure(work, rounds):
    """Median seconds of some work by one thread, and by all of them."""
    seconds = {False: [], True: []}
    for _ in range(rounds):
        for parallel, measured in seconds.items():
            with _workers(parallel):
                began = time.perf_counter()
                work()
                measured.append(time.perf_counter() - began)
    return [statistics.median(measured) for measured in seconds.values()]


def _workers(parallel):
    """Lets all threads work, or one, whatever kd_keras asks for."""
    for_each = threads.for_each

    def replaced(function, count, **_):
        for_each(function, count, parallel=parallel)

    return mock.patch.object(threads, "for_each", replaced)


def photos(side, count):
    """Parts of a photo: uint8 array `(count, side, side, 3)`."""
    from PIL import Image
    from sklearn import datasets

    photo = Image.fromarray(datasets.load_sample_image("china.jpg"))
    rng = np.random.default_rng(0)
    images = np.empty((count, side, side, 3), "uint8")
    for image in images:
        left, top, size = rng.uniform(0, (400, 180, 200))
        size += 40
        box = (left, top, left + size, top + size)
        image[:] = photo.resize((side, side), box=box)
    return images


def encode(image, kind):
    """The bytes of a file of a uint8 array."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, format=kind)
    return file.getvalue()


if __name__ == "__main__":
    main()

"""Small sets of examples whose images and labels can be recognised."""

import numpy as np
import tensorflow as tf

from kd_keras.data import datasets, decoding, readers
from kd_keras.utils import digests


def numbered(count, num_classes=10):
    """Examples with their number in the first pixel, and labels in turn."""
    images = np.zeros((count, 4, 4, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(count) % 256
    images[:, 0, 0, 1] = np.arange(count) // 256
    labels = np.arange(count) % num_classes
    return datasets.Examples(images, labels, num_classes=num_classes)


def numbers(images):
    """The numbers in images of `numbered`: int array `(n,)`."""
    images = np.asarray(images).astype(int)
    return images[:, 0, 0, 0] + 256 * images[:, 0, 0, 1]


def in_memory(examples):
    """Returns `Examples` as they are; the counterpart of `encoded`."""
    return examples


class PngReader(readers.EncodedReader):
    """Images of an array that are encoded as PNG, to be decoded when read."""

    def __init__(self, array):
        super().__init__(len(array), decoding.Decoding(array.shape[1:]))
        self._encoded = np.array(
            [tf.io.encode_png(image).numpy() for image in array]
        )

    def encoded(self, ids):
        return tf.gather(self._encoded, ids)

    def name(self, example_id):
        return f"number {example_id}"

    def contents_digest(self, ids):
        return digests.sha256(b"".join(self._encoded[ids]))


def encoded(examples):
    """Converts `Examples` of all images of an array to encoded ones."""
    return datasets.Examples(
        PngReader(examples.images),
        examples.labels,
        num_classes=examples.num_classes,
    )


def first_digits(mnist, *, train, test):
    """The first images of MNIST, with their labels: `datasets.Dataset`.

    Args:
        mnist: `datasets.Dataset`, all of it.
        train: int, how many to train on.
        test: int, how many to test on.
    """
    return datasets.Dataset(
        name="mnist",
        train=mnist.train.subset(np.arange(train)),
        test=mnist.test.subset(np.arange(test)),
        source="the kd_keras package",
    )


def single_valued(name, *, class_names, count=6, side=5):
    """A dataset of images 0 to `count - 1`, each filled with its number.

    Labels are in turn; the test examples are every second training example.
    """
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    images = np.broadcast_to(images, (count, side, side, 1))
    labels = np.arange(count) % len(class_names)

    def every(step):
        return datasets.Examples(
            images[::step], labels[::step], num_classes=len(class_names)
        )

    return datasets.Dataset(
        name=name,
        train=every(1),
        test=every(2),
        source="here",
        class_names=list(class_names),
    )

"""MNIST, from files in this package."""

import gzip
import pathlib

import numpy as np

from kd_keras.data import datasets

FOLDER = pathlib.Path(__file__).parent / "mnist_files"


def load(fields):
    """Loads MNIST: 60,000 and 10,000 digits of 28 x 28 x 1.

    Args:
        fields: `config.data`; nothing in it applies to MNIST.

    Returns:
        `datasets.Dataset`.
    """
    return datasets.Dataset(
        name="mnist",
        train=_read("train"),
        test=_read("t10k"),
        source="the kd_keras package",
        class_names=[str(digit) for digit in range(10)],
    )


def _read(name):
    # The headers of the two formats are 16 and 8 bytes long.
    images = _unpack(f"{name}-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1)
    labels = _unpack(f"{name}-labels-idx1-ubyte", 8)
    return datasets.Examples(images, labels, num_classes=10)


def _unpack(name, header_bytes):
    with gzip.open(FOLDER / f"{name}.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=header_bytes)

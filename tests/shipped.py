"""The models in `savedmodels/`, and a sample of their test set."""

import json
import pathlib

import numpy as np
import tensorflow as tf

REPOSITORY = pathlib.Path(__file__).parents[1]
SHIPPED = REPOSITORY / "savedmodels"


def cifar10_sample():
    """The first 500 test images and labels of CIFAR-10, one a row."""
    folder = pathlib.Path(__file__).parent / "files"
    sheet = tf.io.decode_png((folder / "cifar10_test_500.png").read_bytes())
    labels = json.loads((folder / "cifar10_test_500_labels.json").read_text())
    return sheet.numpy().reshape(-1, 32, 32, 3), np.array(labels)

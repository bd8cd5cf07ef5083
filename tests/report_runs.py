"""Runs, predictions and text for the tests of the report."""

import re
from html import unescape

import numpy as np
import tensorflow as tf

from kd_keras.teachers import loading
from kd_keras.training import stages

CLASSES = ["ant", "bee", "cat", "dog", "emu"]
TEMPERATURE = 3.0
REPORT = {
    "stage": "student",
    "parameters": 4321,
    "macs": 1234,
    "test_examples": 60,
    "test_errors": 41,
    "test_accuracy": 0.3,
    "test_nll": 2.0,
    "seconds": 6.0,
    "epochs": 3,
}
# The order in which a folder's files are read: by name.
ORDER = sorted(range(12), key=str)


def predictions(place):
    """Labels and, by role, logits, without the report."""
    folder = place / "images" / "test"
    files = [folder / name / f"{i}.png" for name in CLASSES for i in ORDER]
    images = np.stack(
        [tf.io.decode_png(file.read_bytes()).numpy() for file in files]
    )
    labels = np.repeat(np.arange(len(CLASSES)), len(ORDER))
    return labels, {
        role: loading.load_classifier(place / "runs" / role / f"{role}.keras")(
            images
        )
        for role in stages.ALL
    }


def text_of(html):
    html = re.sub(r"<(script|style|svg).*?</\1>", "", html, flags=re.S)
    text = unescape(re.sub(r"<[^>]*>", " ", html))
    return " ".join(text.replace("\xa0", " ").split())

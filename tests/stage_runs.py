"""Small runs of the stages that the tests of training share."""

import functools
import itertools
import json
import pathlib
import shutil
import tempfile

import keras
import numpy as np

from kd_keras import config as config_lib
from kd_keras.data import sources
from kd_keras.deployment import saved_model
from kd_keras.training import callbacks, save_times, stages


def small_config(**overrides):
    """A run of a few seconds: narrow networks, 400 digits, two epochs."""
    config = config_lib.default_config()
    config.name = "small"
    config.data.validation_examples = 100
    config.data.augment.translate = 1
    config.teacher.model = "cnn"
    config.teacher.widths = (4, 8)
    for role in ("teacher", "student"):
        config[role].epochs = 2
        config[role].batch_size = 64
    for stage in stages.ALL:
        config[stage].optimizer.learning_rate = 1e-2
    config.update_from_flattened_dict(overrides)
    return config


def store_config(path="auto", **overrides):
    """A student from a store: more epochs than views.

    Args:
        path: the store's path, `auto`, or empty for a live teacher.
    """
    return small_config(
        **{
            "store.path": str(path),
            "store.views": 2,
            "store.dtype": "float32",
            "student.epochs": 3,
            # At a higher rate, rounding errors grow from step to step.
            "student.optimizer.learning_rate": 1e-3,
            "data.augment.mirror": "random",
            **overrides,
        }
    )


def read_metrics(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def weights_of(path):
    return keras.models.load_model(path, compile=False).get_weights()


def same_bits(first, second):
    return all(
        np.array_equal(a, b)
        for a, b in zip(weights_of(first), weights_of(second), strict=True)
    )


def export_dummy_teacher(path, *, shape=(28, 28, 1), classes=10):
    """Exports a teacher without training; on digits it knows their means."""
    exported = pathlib.Path(_dummy_teacher(shape, classes).name) / "teacher"
    shutil.copytree(exported, path, dirs_exist_ok=True)


@functools.cache
def _dummy_teacher(shape, classes):
    """The directory of an exported teacher: `tempfile.TemporaryDirectory`."""
    inputs = keras.Input(shape)
    outputs = keras.layers.Dense(classes)(keras.layers.Flatten()(inputs))
    network = keras.Model(inputs, outputs)
    if shape == (28, 28, 1) and classes == 10:
        digits = sources.load_dataset("mnist").train.subset(np.arange(2000))
        images = digits.images.reshape(2000, -1) / 255
        means = np.stack(
            [images[digits.labels == digit].mean(0) for digit in range(10)]
        )
        # The nearest mean: -|x - m|^2 / 2 without its part of x alone.
        network.set_weights([means.T / 255, -(means**2).sum(-1) / 2])
    folder = tempfile.TemporaryDirectory()
    saved_model.export_saved_model(network, f"{folder.name}/teacher")
    return folder


class Interrupted(Exception):
    """Stands for the death of the process."""


def interrupt_after_batches(monkeypatch, batches):
    """Interrupts the training in the middle of an epoch."""
    count = 0
    original = callbacks.StopOnNaN.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        nonlocal count
        count += 1
        if count > batches:
            raise Interrupted
        original(self, batch, logs)

    monkeypatch.setattr(
        callbacks.StopOnNaN, "on_train_batch_end", on_train_batch_end
    )


def save_every_minute(monkeypatch):
    """Lets every step last a minute for the times of checkpoints."""
    original = save_times.SaveTimes.__init__

    def init(self, minutes):
        passed = itertools.count()
        original(self, minutes, clock=lambda: 60 * next(passed))

    monkeypatch.setattr(save_times.SaveTimes, "__init__", init)


def interrupt_after_epochs(monkeypatch, epochs):
    """Interrupts the training once it has saved this many epochs in all.

    Returns:
        List that the epochs are appended to as they are saved.
    """
    saved = []
    original = callbacks.SaveCheckpoint.on_epoch_end

    def on_epoch_end(self, epoch, logs=None):
        original(self, epoch, logs)
        saved.append(epoch)
        if len(saved) == epochs:
            raise Interrupted

    monkeypatch.setattr(callbacks.SaveCheckpoint, "on_epoch_end", on_epoch_end)
    return saved

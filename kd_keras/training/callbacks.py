"""Keras callbacks of a stage."""

import json
import math
import time

import keras
import numpy as np
import tensorflow as tf

from kd_keras.utils import files

_TEACHER_COLOUR = (31, 119, 180)
_STUDENT_COLOUR = (255, 127, 14)


class MetricsLog(keras.callbacks.Callback):
    """Writes `metrics.jsonl`: an object for each epoch.

    `epoch` counts from 1, `seconds` is the epoch's training without
    validation, and every log of training and validation follows.

    Args:
        run_dir: `rundir.RunDir`.
        num_examples: int, examples an epoch.
        first_epoch: int; lines of later epochs, of a run that was
            interrupted, are dropped.
    """

    def __init__(self, run_dir, *, num_examples, first_epoch):
        super().__init__()
        self._path = run_dir.metrics_path
        self._num_examples = num_examples
        self._lines = [
            line for line in run_dir.metrics() if line["epoch"] <= first_epoch
        ]

    def on_epoch_begin(self, epoch, logs=None):
        self._began = self._trained = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = self._trained - self._began
        self._lines.append(
            {
                "epoch": epoch + 1,
                "seconds": round(seconds, 6),
                "examples_per_second": round(self._num_examples / seconds, 1),
                **{key: float(value) for key, value in logs.items()},
            }
        )
        files.write_text(
            self._path, "".join(json.dumps(x) + "\n" for x in self._lines)
        )


class StopOnNaN(keras.callbacks.Callback):
    """Ends training at the step whose loss is not finite.

    Args:
        steps_per_epoch: int.
        checkpoints_dir: path, for the message.
    """

    def __init__(self, *, steps_per_epoch, checkpoints_dir):
        super().__init__()
        self._steps_per_epoch = steps_per_epoch
        self._checkpoints_dir = checkpoints_dir
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            step = self._epoch * self._steps_per_epoch + batch + 1
            raise ValueError(
                f"the loss must stay finite. Received: {loss} at step {step} "
                f"(epoch {self._epoch + 1}). The state after epoch "
                f"{self._epoch} is kept in {self._checkpoints_dir}; a lower "
                "learning rate or a clip_norm may help (with --restart)"
            )


class SaveCheckpoint(keras.callbacks.Callback):
    """Saves the state after each epoch.

    Args:
        checkpoints: `rundir.Checkpoints`.
    """

    def __init__(self, checkpoints):
        super().__init__()
        self._checkpoints = checkpoints

    def on_epoch_end(self, epoch, logs=None):
        self._checkpoints.save(epoch + 1)


class SampleViews(keras.callbacks.Callback):
    """Writes to TensorBoard a picture of views and what is predicted.

    Under each view stand, class by class, the softened predictions of the
    teacher (blue) and of the network that learns (orange).

    Args:
        directory: path of TensorBoard logs.
        make_views: function of an epoch -> pictures `(n, h, w, channels)`.
        predictors: dict of `teacher` and/or `student` to functions of
            (pictures, epoch) -> probabilities `(n, num_classes)`.
    """

    def __init__(self, directory, make_views, predictors):
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(directory))
        self._make_views = make_views
        self._predictors = predictors

    def on_epoch_end(self, epoch, logs=None):
        pictures = self._make_views(epoch)
        probabilities = {
            role: np.asarray(predict(pictures, epoch))
            for role, predict in self._predictors.items()
        }
        drawing = draw_predictions(np.asarray(pictures), probabilities)
        with self._writer.as_default(step=epoch):
            tf.summary.image("views", drawing[np.newaxis])
        self._writer.flush()


def draw_predictions(pictures, probabilities, *, scale=3, bar_height=60):
    """Draws pictures in a row, with bars of probabilities below each.

    Args:
        pictures: uint8 `(n, height, width, 1 or 3)`.
        probabilities: dict of `teacher` and/or `student` to `(n, classes)`.
        scale: int, by which the pictures are enlarged.
        bar_height: int, pixels of a probability of 1.

    Returns:
        uint8 `(height * scale + bar_height, n * width * scale, 3)`.
    """
    colours = {"teacher": _TEACHER_COLOUR, "student": _STUDENT_COLOUR}
    columns = []
    for i, picture in enumerate(pictures):
        enlarged = picture.repeat(scale, axis=0).repeat(scale, axis=1)
        enlarged = np.broadcast_to(enlarged, (*enlarged.shape[:2], 3))
        width = enlarged.shape[1]
        bars = np.full((bar_height, width, 3), 255, np.uint8)
        num_classes = next(iter(probabilities.values())).shape[-1]
        edges = np.linspace(
            0, width, num_classes * len(probabilities) + 1
        ).astype(int)
        for j, (role, values) in enumerate(probabilities.items()):
            for k, value in enumerate(values[i]):
                bar = k * len(probabilities) + j
                top = bar_height - round(float(value) * bar_height)
                bars[top:, edges[bar] : edges[bar + 1]] = colours[role]
        columns.append(np.concatenate([enlarged, bars]))
    return np.concatenate(columns, axis=1)

"""Keras callbacks that record, check and save a training."""

import json
import logging
import math
import time

import keras
import numpy as np
import tensorflow as tf

from kd_keras.distillation import divergence
from kd_keras.training import checkpoints, cluster

_log = logging.getLogger(__name__)
_COLOURS = {"teacher": (31, 119, 180), "student": (255, 127, 14)}


class MetricsLog(keras.callbacks.Callback):
    """Writes `metrics.jsonl`, a JSON object for each epoch.

    It holds `epoch`, from 1; `seconds`, the time of training without
    validation; `examples_per_second`; and all logs.

    Args:
        run_dir: `run_directory.RunDir`.
        num_examples: int, examples an epoch.
        first_epoch: int; lines of later epochs, from an interrupted run, are
            dropped.
        seconds: float, the time of the first epoch's steps that another
            process has trained.
        writes: bool; False only measures the time, for workers other than
            the chief.
    """

    def __init__(
        self,
        run_dir,
        *,
        num_examples,
        first_epoch,
        seconds=0.0,
        writes=True,
    ):
        super().__init__()
        self._run_dir = run_dir
        self._writes = writes
        self._num_examples = num_examples
        self._before = seconds
        self._lines = [
            line for line in run_dir.metrics() if line["epoch"] <= first_epoch
        ]

    @property
    def seconds(self):
        """The time of the steps of this epoch: float."""
        return self._before + self._trained - self._began

    def on_epoch_begin(self, epoch, logs=None):
        self._began = self._trained = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds, self._before = self.seconds, 0.0
        self._lines.append(
            {
                "epoch": epoch + 1,
                "seconds": round(seconds, 6),
                "examples_per_second": round(self._num_examples / seconds, 1),
                **{key: float(value) for key, value in logs.items()},
            }
        )
        if self._writes:
            self._run_dir.write_text(
                self._run_dir.metrics_path.name,
                "".join(json.dumps(x) + "\n" for x in self._lines),
            )


class StopOnNaN(keras.callbacks.Callback):
    """Stops with a ValueError if the training has diverged.

    It stops at the first step whose loss is not finite; after an epoch whose
    weights are not finite, so that no such state is saved; and if the gradients
    overflow float16 for good.

    Args:
        steps_per_epoch: int.
        checkpoints_dir: path, for the message.
    """

    def __init__(self, *, steps_per_epoch, checkpoints_dir):
        super().__init__()
        self._steps_per_epoch = steps_per_epoch
        self._checkpoints_dir = checkpoints_dir
        self._epoch = 0

    def on_train_begin(self, logs=None):
        if not divergence.is_finite(self.model.network):
            raise ValueError(
                "the weights to resume from must be finite. Received: NaN or "
                f"infinity in {self._checkpoints_dir}; start over with "
                "--restart"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["loss"])
        step = self._epoch * self._steps_per_epoch + batch + 1
        if not math.isfinite(loss):
            self._stop(f"{loss} at step {step} (epoch {self._epoch + 1})")
        if divergence.overflows_for_good(self.model.optimizer):
            raise ValueError(
                "the gradients must fit into float16. Received: an overflow "
                f"at every step up to {step}, at any loss scale, so that no "
                "weight changes; take --config.precision=mixed_bfloat16 or "
                "float32 (with --restart)"
            )

    def on_epoch_end(self, epoch, logs=None):
        if not divergence.is_finite(self.model.network):
            self._stop(f"weights that are not, after epoch {epoch + 1}")

    def _stop(self, received):
        kept = ""
        saved = checkpoints.saved_positions(self._checkpoints_dir)
        if saved:
            kept = f". The state {saved[-1]} is kept in {self._checkpoints_dir}"
        raise ValueError(
            f"loss and weights must stay finite. Received: {received}{kept}; "
            "a lower learning rate or a clip_norm may help (with --restart)"
        )


class SaveCheckpoint(keras.callbacks.Callback):
    """Saves the state after each epoch, at intervals, and when interrupted.

    All workers of a cluster have this callback.

    Args:
        states: `checkpoints.Checkpoints`.
        times: `save_times.SaveTimes` or `save_times.AgreedTimes`.
        steps_per_epoch: int.
        log: `MetricsLog` of the same training, an earlier callback.
        interruption: `interruption.Deferral`.
    """

    def __init__(self, states, *, times, steps_per_epoch, log, interruption):
        super().__init__()
        self._states = states
        self._times = times
        self._steps_per_epoch = steps_per_epoch
        self._log = log
        self._interruption = interruption

    def on_train_begin(self, logs=None):
        self._times.note_saved()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._times.begin_epoch()

    def on_train_batch_end(self, batch, logs=None):
        # The state after the last step is saved with the epoch's record.
        if batch + 1 < self._steps_per_epoch:
            ends = self._interruption.has_come
            if self._times.is_due(batch + 1, ends=ends):
                self._save_within_epoch(batch + 1)
                self._interruption.deliver()

    def on_epoch_end(self, epoch, logs=None):
        self._states.save(checkpoints.Position(epoch + 1))
        self._times.note_saved()
        self._interruption.deliver()

    def _save_within_epoch(self, steps):
        # Where it has diverged, a later check stops the training.
        is_finite = divergence.is_finite(self.model.network)
        if cluster.from_chief(self.model.distribute_strategy, is_finite):
            position = checkpoints.Position(self._epoch, steps)
            self._states.save(position, seconds=self._log.seconds)
            self._times.note_saved()


class SampleViews(keras.callbacks.Callback):
    """Writes an image of some views and their predictions to TensorBoard.

    Below each view are bars for the classes: the softened predictions of the
    teacher (blue) and of the student (orange). If a drawing fails, that is
    logged once and the training continues without images.

    Args:
        directory: path of TensorBoard logs.
        sample: function of an epoch -> (images `(n, height, width,
            channels)`, dict of `teacher` and/or `student` to probabilities
            `(n, num_classes)`).
    """

    def __init__(self, directory, sample):
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(directory))
        self._sample = sample
        self._failed = False

    def on_epoch_end(self, epoch, logs=None):
        if self._failed:
            return
        try:
            self._draw(epoch)
        except Exception as error:
            self._failed = True
            _log.warning(
                "no images of the views are written to TensorBoard (%s: %s)",
                type(error).__name__,
                error,
            )

    def _draw(self, epoch):
        images, probabilities = self._sample(epoch)
        drawing = draw_predictions(
            np.asarray(images),
            {role: np.asarray(x) for role, x in probabilities.items()},
        )
        with self._writer.as_default(step=epoch):
            tf.summary.image("views", drawing[np.newaxis])
        self._writer.flush()


def draw_predictions(images, probabilities, *, scale=3, bar_height=60):
    """Draws images in a row, with bars of probabilities below each.

    Args:
        images: uint8 `(n, height, width, 1 or 3)`.
        probabilities: dict of `teacher` and/or `student` to `(n, classes)`.
        scale: int, the factor by which the images are enlarged.
        bar_height: int, the height of probability 1 in pixels.

    Returns:
        uint8 `(height * scale + bar_height, n * width * scale, 3)`.
    """
    columns = []
    for i, image in enumerate(images):
        enlarged = image.repeat(scale, axis=0).repeat(scale, axis=1)
        enlarged = np.broadcast_to(enlarged, (*enlarged.shape[:2], 3))
        bars = _draw_bars(
            {role: values[i] for role, values in probabilities.items()},
            width=enlarged.shape[1],
            height=bar_height,
        )
        columns.append(np.concatenate([enlarged, bars]))
    return np.concatenate(columns, axis=1)


def _draw_bars(probabilities, *, width, height):
    """Bars class by class, the roles side by side: uint8 `(h, w, 3)`."""
    bars = np.full((height, width, 3), 255, np.uint8)
    if not probabilities:
        return bars
    num_classes = len(next(iter(probabilities.values())))
    num_bars = num_classes * len(probabilities)
    edges = np.linspace(0, width, num_bars + 1).astype(int)
    for j, (role, values) in enumerate(probabilities.items()):
        for k, value in enumerate(values):
            bar = k * len(probabilities) + j
            top = height - round(float(value) * height)
            bars[top:, edges[bar] : edges[bar + 1]] = _COLOURS[role]
    return bars

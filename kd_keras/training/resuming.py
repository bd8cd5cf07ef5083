"""Resumes a training within an epoch."""

import keras


class ResumedCallbacks(keras.callbacks.CallbackList):
    """Callbacks of a `fit` whose first batches are the rest of an epoch.

    That epoch ends after its own number of steps, its batches have the
    numbers that they have in a whole epoch, and its logs are means over all
    of its steps.

    Args:
        callbacks: list of Keras callbacks.
        first_step: int, the number of the first epoch's steps that are left
            out; 0 for a whole epoch.
        restore_metrics: function that restores the model's metrics as of
            these steps.
        **params: as of `keras.callbacks.CallbackList`; `model`, and `steps`
            of a whole epoch, are needed.
    """

    def __init__(self, callbacks, *, first_step, restore_metrics, **params):
        super().__init__(callbacks, **params)
        self._first_step = first_step
        self._restore_metrics = restore_metrics
        self._has_ended = False

    def on_epoch_begin(self, epoch, logs=None):
        if self._first_step:
            # Keras has just reset the metrics.
            self._restore_metrics()
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(self._first_step + batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        batch += self._first_step
        super().on_train_batch_end(batch, logs)
        is_last = batch + 1 == self.params["steps"]
        if self._first_step and is_last and not self.model.stop_training:
            # Keras ends the epoch, and after `on_epoch_end` continues.
            self.model.stop_training = self._has_ended = True

    def on_epoch_end(self, epoch, logs=None):
        if self._has_ended:
            self.model.stop_training = self._has_ended = False
        self._first_step = 0
        super().on_epoch_end(epoch, logs)

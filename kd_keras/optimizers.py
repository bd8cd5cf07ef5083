"""Optimizers and learning rate schedules from the configuration."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="kd_keras")
class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear rise from 0 to the peak, then decay to a share of it.

    Args:
        peak: float, the largest learning rate.
        warmup_steps: int, steps of the rise.
        total_steps: int, the step at which the decay ends.
        shape: `linear`, `cosine` or `constant`.
        final_factor: float, the last learning rate over the peak.
    """

    def __init__(self, *, peak, warmup_steps, total_steps, shape, final_factor):
        super().__init__()
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.shape = shape
        self.final_factor = final_factor

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        # The first step already moves: (step + 1) / warmup.
        rise = (step + 1.0) / max(self.warmup_steps, 1)
        decay_steps = max(self.total_steps - self.warmup_steps, 1)
        done = tf.clip_by_value(
            (step - self.warmup_steps) / decay_steps, 0.0, 1.0
        )
        left = {
            "linear": 1.0 - done,
            "cosine": 0.5 * (1.0 + tf.cos(3.14159265 * done)),
            "constant": tf.ones_like(done),
        }[self.shape]
        fall = self.final_factor + (1.0 - self.final_factor) * left
        return self.peak * tf.minimum(rise, fall)

    def get_config(self):
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "shape": self.shape,
            "final_factor": self.final_factor,
        }


def make_optimizer(fields, *, steps_per_epoch, epochs):
    """Builds the optimizer of a stage.

    Args:
        fields: `config.<stage>.optimizer`; see `kd_keras.config`.
        steps_per_epoch: int.
        epochs: int, over which the schedule runs.

    Returns:
        A `keras.optimizers.Optimizer`.
    """
    schedule = WarmupThenDecay(
        peak=fields.learning_rate,
        warmup_steps=round(fields.warmup_epochs * steps_per_epoch),
        total_steps=epochs * steps_per_epoch,
        shape=fields.schedule,
        final_factor=fields.final_factor,
    )
    options = {"global_clipnorm": fields.clip_norm or None}
    if fields.name == "sgd":
        optimizer = keras.optimizers.SGD(
            schedule,
            momentum=fields.momentum,
            nesterov=fields.momentum > 0,
            weight_decay=fields.weight_decay or None,
            **options,
        )
    else:
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=fields.weight_decay, **options
        )
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer

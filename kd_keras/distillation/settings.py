"""Settings of a loss that may change while a student is trained.

A setting is a number; a schedule, which is a function of the optimizer's
steps; or a variable, which the caller assigns to.
"""

import numbers

import keras
import numpy as np
import tensorflow as tf

from kd_keras.distillation import losses


def temperature(value):
    """Checks a temperature, and returns it.

    Raises:
        ValueError: unless it is a number > 0, a schedule or a variable.
    """
    if not _varies(value):
        value = _number("temperature", value, "> 0")
        losses.check_temperature(value)
    return value


def hard_loss_weight(value):
    """Checks the weight of the hard loss, and returns it.

    Raises:
        ValueError: unless it is a number >= 0, a schedule or a variable.
    """
    if not _varies(value):
        value = _number("hard_loss_weight", value, ">= 0")
        if not 0 <= value < float("inf"):
            raise ValueError(
                "hard_loss_weight must be >= 0 and finite. "
                f"Received: hard_loss_weight={value}"
            )
    return value


def soft_loss(value):
    """Checks a loss, and returns it.

    Raises:
        ValueError: unless it is a function, a name in `losses.LOSSES`, or
            None.
    """
    named = isinstance(value, str) and value in losses.LOSSES
    if not (callable(value) or named or value is None):
        raise ValueError(
            f"soft_loss must be one of {', '.join(losses.LOSSES)}, or a "
            f"function. Received: soft_loss={value!r}"
        )
    return value


def check_some_loss(soft_loss, features):
    """Raises a ValueError if nothing would be learnt from the teacher."""
    if soft_loss is None and not features:
        raise ValueError(
            "soft_loss must be a loss if there are no features to match. "
            "Received: soft_loss=None, features=()"
        )


def soft_loss_options(value):
    """Checks the options of a loss, and returns a copy.

    Raises:
        ValueError: unless it is a dict with names as keys, or None.
    """
    if not (value is None or isinstance(value, dict)):
        raise ValueError(
            "soft_loss_options must be a dict of the loss's arguments. "
            f"Received: soft_loss_options={value!r}"
        )
    return dict(value or {})


def is_zero(value):
    """Whether a setting is the number 0: its term is left out."""
    return not _varies(value) and value == 0


def at_step(value, step):
    """The number itself, or the value of a schedule or variable: float32.

    Args:
        value: number, schedule or variable.
        step: int tensor, the steps of the training so far.
    """
    if not _varies(value):
        return value
    return tf.cast(value(step) if callable(value) else value, tf.float32)


def serialized(value):
    """A setting for `get_config`; a variable is saved as its number."""
    if isinstance(value, (tf.Variable, keras.Variable)):
        value = float(value.numpy())
    return keras.saving.serialize_keras_object(value)


def _varies(value):
    return callable(value) or isinstance(value, (tf.Variable, keras.Variable))


def _number(name, value, range_):
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return value
    if tf.is_tensor(value) or isinstance(value, np.ndarray):
        array = np.asarray(value)
        if array.ndim == 0 and array.dtype.kind in "fiu":
            return float(array)
    raise ValueError(
        f"{name} must be a number {range_}, a schedule or a variable. "
        f"Received: {name}={value!r}"
    )

"""Settings of a loss that may change while a student is trained.

A setting is a number; a schedule, which is a function of the optimizer's
steps; or a variable, which the caller assigns to.
"""

import inspect
import numbers

import keras
import numpy as np
import tensorflow as tf

from kd_keras.config import distill
from kd_keras.distillation import losses
from kd_keras.utils import graph_checks

_WEIGHT_AT_EVERY_STEP = (
    "a hard_loss_weight must at every step be >= 0 and finite"
)
_TEMPERATURE_AT_EVERY_STEP = (
    f"a temperature must at every step be {distill.TEMPERATURE.text}"
)
# The text of an error, and the rest of it with the number of the Assert.
EXPLANATIONS = (
    (_TEMPERATURE_AT_EVERY_STEP, "{}"),
    (_WEIGHT_AT_EVERY_STEP, "{}"),
)


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
        ValueError: unless it is a function of logits and a temperature, a
            name in `losses.LOSSES`, or None.
    """
    if callable(value):
        _check_arguments(value)
        return value
    named = isinstance(value, str) and value in losses.LOSSES
    if not (named or value is None):
        raise ValueError(
            f"soft_loss must be one of {', '.join(losses.LOSSES)}, or a "
            f"function. Received: soft_loss={value!r}"
        )
    return value


def _check_arguments(loss):
    names = ("teacher_logits", "student_logits", "temperature")
    try:
        inspect.signature(loss).bind_partial(**dict.fromkeys(names))
    except TypeError as error:
        raise ValueError(
            f"soft_loss must be a function of {', '.join(names)}. Received: "
            f"soft_loss={loss!r}, and an error: {error}"
        ) from error


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


def temperature_at(value, step):
    """The number itself, or the value of a schedule or variable: float32.

    The step fails if a temperature is out of range.

    Args:
        value: number, schedule or variable.
        step: int tensor, the steps of the training so far.
    """
    if not _varies(value):
        return value
    value = _now(value, step)
    in_range = (value >= distill.LOWEST_TEMPERATURE) & (
        value <= distill.HIGHEST_TEMPERATURE
    )
    return graph_checks.checked(
        value, in_range, _TEMPERATURE_AT_EVERY_STEP, value
    )


def weight_at(value, step):
    """As `temperature_at`, for the weight of the hard loss."""
    if not _varies(value):
        return value
    value = _now(value, step)
    in_range = (value >= 0.0) & tf.math.is_finite(value)
    return graph_checks.checked(value, in_range, _WEIGHT_AT_EVERY_STEP, value)


def _now(value, step):
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

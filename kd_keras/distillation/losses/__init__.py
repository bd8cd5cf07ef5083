"""Distillation losses: pure, per example, in log space and float32.

The caller reduces. No loss depends on models or devices. A temperature is a
float, or a float32 scalar tensor where a schedule gives it.

To add a loss, write a file with a function of `teacher_logits`,
`student_logits` and `temperature` -> `(batch,)`, and enter it in `LOSSES`.
Its further keyword arguments are options (`soft_loss_options` of the
Distiller), or inputs that the training step has, by these names:

- `labels`: int tensor `(batch,)`, or None where no labels may be used;
- `batch_sum`: function that sums a tensor `(batch, ...)` over the first axis
  of the whole batch, on all replicas.

A loss compares softmax predictions over classes, or has the attribute
`activation = "sigmoid"`: each logit is then a yes or no of its own.
"""

import inspect

from kd_keras.distillation.losses.binary_kl import binary_kl_loss
from kd_keras.distillation.losses.common import (
    check_temperature,
    soft_cross_entropy,
    soften,
)
from kd_keras.distillation.losses.dist import dist_loss
from kd_keras.distillation.losses.dkd import dkd_loss
from kd_keras.distillation.losses.kl import distillation_loss
from kd_keras.distillation.losses.mse import mse_loss

LOSSES = {
    "kl": distillation_loss,
    "dkd": dkd_loss,
    "dist": dist_loss,
    "mse": mse_loss,
    "binary_kl": binary_kl_loss,
}

__all__ = [
    "LOSSES",
    "activation_of",
    "binary_kl_loss",
    "check_options",
    "check_result",
    "check_temperature",
    "declared_inputs",
    "dist_loss",
    "distillation_loss",
    "dkd_loss",
    "mse_loss",
    "soft_cross_entropy",
    "soften",
]


def activation_of(loss):
    """Returns the activation that a loss applies: `softmax` or `sigmoid`.

    Args:
        loss: name of a loss, or a function.
    """
    return getattr(LOSSES.get(loss, loss), "activation", "softmax")


def declared_inputs(loss, **inputs):
    """The inputs from the training step that a loss has as arguments.

    Args:
        loss: function, a value of `LOSSES` or a user's own.
        **inputs: all inputs, as in this module's docstring.

    Returns:
        dict, a part of `inputs`.
    """
    arguments = inspect.signature(loss).parameters
    return {key: value for key, value in inputs.items() if key in arguments}


def check_options(loss, options):
    """Raises a ValueError for options that a loss does not take.

    Args:
        loss: function, a value of `LOSSES` or a user's own.
        options: dict, `soft_loss_options` of the Distiller.
    """
    arguments = inspect.signature(loss).parameters
    if any(x.kind is x.VAR_KEYWORD for x in arguments.values()):
        return
    unknown = [key for key in options if key not in arguments]
    if unknown:
        raise ValueError(
            f"soft_loss_options must be arguments of the loss: "
            f"{', '.join(arguments)}. Received: {unknown[0]!r}"
        )


def check_result(values, logits):
    """Raises a ValueError unless a loss returned a value for each example.

    Args:
        values: what the loss returned.
        logits: tensor `(batch, num_classes)` that it was given.
    """
    shape = getattr(values, "shape", None)
    if shape is None or not logits.shape[:1].is_compatible_with(shape):
        raise ValueError(
            "soft_loss must return one value for each example, (batch,). "
            f"Received: {repr(values) if shape is None else tuple(shape)}"
        )

"""Converts the outputs of models to logits over classes.

Models of other programs may end in softmax, and binary ones have one output.
"""

import logging

import numpy as np

# Softmax sums to 1 up to the rounding of float16.
_SUM_TOLERANCE = 2e-3
# If at least this many values are all from 0 to 1, they are no logits.
_MANY_VALUES = 32
_TINY = np.finfo("float32").tiny
_log = logging.getLogger(__name__)


def class_logits(values, *, name):
    """Converts a model's outputs to logits, one for each class.

    Probabilities of softmax become their logarithms, and a single logit `z`
    becomes the logits `(0, z)` of two classes: its sigmoid is their softmax.

    Args:
        values: array `(n, num_outputs)`, the outputs for a whole set.
        name: str, the model, for messages.

    Returns:
        float array `(n, num_classes)`.

    Raises:
        ValueError: if the values are probabilities of another kind.
    """
    values = np.asarray(values)
    if are_probabilities(values):
        _log.warning(
            "%s returns probabilities; they are measured as their logarithms",
            name,
        )
        return log_probabilities(values)
    if values.size >= _MANY_VALUES and _are_shares(values):
        raise ValueError(
            "a model that is measured must return logits, or probabilities "
            f"that sum to 1. Received: {name}, with all outputs from 0 to 1, "
            "as of sigmoids; load a network that ends in one sigmoid by "
            "load_teacher(path, outputs='probabilities'), or leave the "
            "sigmoids out"
        )
    return two_classes(values)


def check_finite(values, *, name):
    """Raises a ValueError if logits are NaN or infinite.

    Args:
        values: array `(n, num_classes)`.
        name: str, the model, for the error.
    """
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=-1)
    if not finite.all():
        raise ValueError(
            "a model that is measured must return finite logits. Received: "
            f"{name}, NaN or infinite for {np.count_nonzero(~finite):,} of "
            f"{len(values):,} images"
        )


def two_classes(logits):
    """Gives a single logit `(n, 1)` its second class; leaves others."""
    if logits.shape[-1] != 1:
        return logits
    return np.concatenate([np.zeros_like(logits), logits], axis=-1)


def are_probabilities(values):
    """Whether all rows are probabilities of two classes or more."""
    sums = np.sum(values, axis=-1, dtype="float64")
    return bool(
        values.shape[-1] > 1
        and len(values)
        and _are_shares(values)
        and np.all(np.abs(sums - 1.0) < _SUM_TOLERANCE)
    )


def log_probabilities(values):
    """Logarithms of probabilities, finite also where these are 0."""
    return np.log(np.maximum(values.astype("float32"), _TINY))


def _are_shares(values):
    return bool(np.all((values >= 0) & (values <= 1 + _SUM_TOLERANCE)))

"""The outputs of a teacher or a student for a batch."""

import typing

import tensorflow as tf


class Outputs(typing.NamedTuple):
    """The outputs of a teacher or a student for a batch.

    Attributes:
        logits: float32 tensor `(batch, num_classes)`; None for a model that
            is no classifier.
        features: tuple of tensors `(batch, ...)`, of inner layers; may be
            empty.
    """

    logits: tf.Tensor | None
    features: tuple = ()


def as_outputs(result):
    """Makes `Outputs` of logits; leaves `Outputs` as they are."""
    return result if isinstance(result, Outputs) else Outputs(result)


def as_targets(outputs):
    """The entries of a batch's `y` for a `Distiller`: a dict.

    Args:
        outputs: `Outputs`.
    """
    targets = {}
    if outputs.logits is not None:
        targets["teacher_logits"] = outputs.logits
    if outputs.features:
        targets["teacher_features"] = outputs.features
    return targets

"""The dustbin: one class for all classes outside of a specialist's set."""

import math

import numpy as np
import tensorflow as tf


def with_dustbin(logits, classes, *, offset=0.0):
    """Logits of a specialist's classes, and of its dustbin last.

    Args:
        logits: float tensor `(..., num_classes)` over all classes.
        classes: list of int, the specialist's.
        offset: float, added to the dustbin's logit.

    Returns:
        float32 tensor `(..., len(classes) + 1)`. Without an offset, its
        softmax has the probabilities of `classes`, and the sum of the rest.
    """
    logits = tf.cast(logits, tf.float32)
    others = np.setdiff1d(np.arange(logits.shape[-1]), classes)
    dustbin = tf.reduce_logsumexp(
        tf.gather(logits, others, axis=-1), axis=-1, keepdims=True
    )
    special = tf.gather(logits, classes, axis=-1)
    return tf.concat([special, dustbin + offset], axis=-1)


def positions_in_set(classes, num_classes):
    """Position of each class among a set's logits; the dustbin's is last.

    Args:
        classes: list of int, the set.
        num_classes: int, number of all classes.

    Returns:
        int array `(num_classes,)`, `len(classes)` for classes of the dustbin.
    """
    positions = np.full(num_classes, len(classes))
    positions[classes] = np.arange(len(classes))
    return positions


def log_oversampling(*, share, prior):
    """Logarithm of how much training lowers the dustbin's odds.

    A specialist is trained with a share `s` of special examples and used
    where their share is `p`. The odds of its classes against the dustbin are
    then too high by the factor `(s / (1 - s)) / (p / (1 - p))`. Its
    logarithm, added to the dustbin's logit, gives the posterior under `p`.

    Args:
        share: float in (0, 1), of special examples in training.
        prior: float in (0, 1), of special examples in use.

    Returns:
        float, in nats; > 0 where special examples are oversampled.

    Raises:
        ValueError: if a share is not in (0, 1).

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 5.2
    """
    for name, value in (("share", share), ("prior", prior)):
        if not 0 < value < 1:
            raise ValueError(
                f"{name} must be in (0, 1). Received: {name}={value}"
            )
    return math.log(share / (1 - share)) - math.log(prior / (1 - prior))

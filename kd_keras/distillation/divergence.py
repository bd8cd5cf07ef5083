"""Signs that a training has diverged."""

import math
import warnings

import keras
import numpy as np

# The smallest normal number of float16. A loss scale begins at 2^15, and
# halves with each overflow.
_SMALLEST_SCALE = float(np.finfo("float16").tiny)


def is_finite(network):
    """Whether no weight of a network is NaN or infinite."""
    return all(np.isfinite(weight).all() for weight in network.get_weights())


def overflows_for_good(optimizer):
    """Whether the gradients overflow float16 at any loss scale.

    Keras then skips every step, and halves the scale without end.

    Args:
        optimizer: built Keras optimizer.
    """
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return False
    return float(optimizer.dynamic_scale.value.numpy()) < _SMALLEST_SCALE


def warn(loss, optimizer):
    """Warns of a training that has diverged; returns whether it has.

    Args:
        loss: float or scalar tensor, an epoch's mean.
        optimizer: built Keras optimizer.
    """
    if not math.isfinite(loss):
        text = (
            f"The loss is {float(loss)}: the training has diverged, and its "
            "weights are of no use. A lower learning rate or an optimizer "
            "with a clipnorm may help; keras.callbacks.TerminateOnNaN stops "
            "at the first such step."
        )
    elif overflows_for_good(optimizer):
        text = (
            "The gradients overflow float16 at every step, so no weight "
            "changes any more. Take mixed_bfloat16 or float32."
        )
    else:
        return False
    warnings.warn(text, stacklevel=2)
    return True

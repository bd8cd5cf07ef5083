"""Signs that a training has diverged."""

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

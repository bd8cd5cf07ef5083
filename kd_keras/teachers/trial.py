"""Tries a teacher on a few images, to check the meaning of its outputs."""

import numpy as np
import tensorflow as tf

from kd_keras.models import image_spec as image_specs

# Images of noise, from dark to bright.
_IMAGES = 8
# Softmax sums to 1 up to the rounding of float16.
_TOLERANCE = 2e-3


def check_outputs(teacher):
    """Raises a ValueError if logits are probabilities, or the other way round.

    Args:
        teacher: `Teacher`. A teacher of images of any size is not tried.
    """
    shape = teacher.image_shape
    if len(shape) != 3 or None in shape:
        return
    images = _noise(shape, teacher.image_spec or image_specs.UINT8)
    try:
        logits = teacher(images)
    except (tf.errors.OpError, TypeError, ValueError):
        # A model of batches of one image, for instance; its use reports it.
        return
    if logits.shape[-1] == 1:
        return
    if teacher.outputs_activation == "sigmoid":
        return
    if teacher.outputs_activation == "softmax":
        # If the outputs are logits, the sum is over the few positive ones.
        sums = tf.reduce_logsumexp(logits, axis=-1)
        if tf.reduce_any(tf.abs(sums) > _TOLERANCE):
            raise ValueError(
                "outputs='probabilities' must be softmax's, which sum to 1; "
                "sigmoids are 'label_probabilities'. Received: "
                f"{teacher.path} with other values"
            )
        return
    sums = tf.reduce_sum(logits, axis=-1)
    if tf.reduce_all(tf.abs(sums - 1.0) < _TOLERANCE) and tf.reduce_all(
        logits >= 0.0
    ):
        raise ValueError(
            "a teacher must return logits, not probabilities, unless it is "
            "loaded with outputs='probabilities' "
            "(teacher.outputs=probabilities). Received: "
            f"{teacher.path}, which ends in softmax"
        )


def _noise(shape, spec):
    generator = np.random.default_rng(0)
    shares = generator.random((_IMAGES, *shape))
    shares *= np.linspace(0.1, 1.0, _IMAGES).reshape(-1, 1, 1, 1)
    images = spec.low + shares * (spec.high - spec.low)
    return tf.constant(spec.cast(images))

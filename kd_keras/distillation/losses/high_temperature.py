"""Values of losses that the usual form loses in rounding, as T grows.

Softened predictions approach each other as 1 / T. `sum p (log p - log q)`
then is a small difference of large terms, which the factor T**2 magnifies:
in float32, T**2 KL is off by 0.1 % at T = 100, and may be negative at 10,000.
"""

import tensorflow as tf

# Up to this temperature the usual form is right, and results keep their bits.
_USUAL_UP_TO = 20.0
# `exp` of more would not be finite in float32.
LARGEST_CHANGE = 80.0
# Below it, `expm1(c) - c` cancels, and its series has five terms.
_SMALL = 0.3


def loss_value(usual, exact, temperature):
    """A loss with its usual gradient and, where that differs, exact value.

    Args:
        usual: function without arguments -> float32 `(...,)`, the loss. Its
            gradient, a difference of predictions, is right at any T.
        exact: function without arguments -> the loss, also right at high
            temperatures. Needs no gradient.
        temperature: float, or float32 scalar tensor.
    """

    def corrected():
        value = usual()
        return value + tf.stop_gradient(exact() - value)

    if tf.is_tensor(temperature):
        return tf.cond(temperature > _USUAL_UP_TO, corrected, usual)
    return corrected() if temperature > _USUAL_UP_TO else usual()


def excess(temperature):
    """The ratio of a temperature to the largest usual one, at least 1."""
    if tf.is_tensor(temperature):
        return tf.maximum(temperature / _USUAL_UP_TO, 1.0)
    return max(temperature / _USUAL_UP_TO, 1.0)


def divergence(log_p, delta):
    """`KL(p || q)` over the last axis, of the changes from p to q.

    With `q` in proportion to `p exp(delta)`, and `c` the changes without
    their mean under `p`,

        KL = log sum p exp(c) = log(1 + sum p (exp(c) - 1 - c)),

    in which no term is negative.

    Args:
        log_p: float32 tensor `(..., n)`, the logarithms of `p`.
        delta: float32 tensor, same shape, up to a shift for each `p`.

    Returns:
        `(divergence, mean)`: float32 tensors `(...,)`, in nats, and the mean
        of `delta` under `p`.
    """
    p = tf.exp(log_p)
    mean = tf.reduce_sum(p * delta, axis=-1, keepdims=True)
    centred = delta - mean
    small = tf.math.log1p(
        tf.reduce_sum(
            p * _beyond_linear(tf.minimum(centred, LARGEST_CHANGE)), axis=-1
        )
    )
    large = tf.reduce_logsumexp(log_p + centred, axis=-1)
    is_small = tf.reduce_max(centred, axis=-1) < LARGEST_CHANGE
    return tf.where(is_small, small, large), tf.squeeze(mean, axis=-1)


def binary_divergence(p, delta):
    """`divergence` of predictions `(p, 1 - p)` and changes `(delta, 0)`.

    Args:
        p, delta: float32 tensors, same shape; `delta` is cut to
            `LARGEST_CHANGE`.

    Returns:
        float32 tensor of that shape.
    """
    delta = tf.clip_by_value(delta, -LARGEST_CHANGE, LARGEST_CHANGE)
    yes, no = (1 - p) * delta, -p * delta
    return tf.math.log1p(p * _beyond_linear(yes) + (1 - p) * _beyond_linear(no))


def _beyond_linear(c):
    """`exp(c) - 1 - c`, which is never negative."""
    series = 1 + c / 3 * (1 + c / 4 * (1 + c / 5 * (1 + c / 6)))
    return tf.where(
        tf.abs(c) < _SMALL, c * c / 2 * series, tf.math.expm1(c) - c
    )

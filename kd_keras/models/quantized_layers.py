"""Layers of a network that trains with the rounding of int8.

They compute in float32 with values that int8 can hold. Gradients pass the
rounding unchanged, and are 0 for values beyond the range.

Reference:
    - [Jacob et al., 2018](https://arxiv.org/abs/1712.05877), section 3
"""

import math

import keras
import tensorflow as tf

# Momentum of the moving range of activations.
_MOMENTUM = 0.99


def rounded_kernel(layer):
    """The kernel of a layer in 255 steps from -max to max.

    Each output channel has a maximum of its own, as in LiteRT's int8 models.

    Args:
        layer: built `Conv2D`, `DepthwiseConv2D` or `Dense`.

    Returns:
        float32 tensor of the kernel's shape; its gradient is the kernel's.
    """
    kernel = tf.convert_to_tensor(layer.kernel)
    channels = math.prod(channel_axes(layer))
    constant = tf.stop_gradient(kernel)
    columns = tf.reshape(constant, [-1, channels])
    largest = tf.reduce_max(tf.abs(columns), axis=0)
    rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        columns, -largest, largest, narrow_range=True
    )
    # The operation's own gradient is 0 where the largest weight of a channel
    # is outside of its range by the rounding of float32. The sum adds 0.
    return tf.reshape(rounded, kernel.shape) + (kernel - constant)


def channel_axes(layer):
    """The sizes of a kernel's last axes that make its output channels."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return tuple(layer.kernel.shape[2:])
    return tuple(layer.kernel.shape[-1:])


class RoundedWeights(keras.layers.Wrapper):
    """Calls a layer with its kernel rounded; see `rounded_kernel`.

    Args:
        layer: `Conv2D`, `DepthwiseConv2D` or `Dense`.
    """

    def call(self, inputs):
        layer = self.layer

        def values(variables):
            return [
                rounded_kernel(layer) if variable is layer.kernel else variable
                for variable in variables
            ]

        outputs, _ = layer.stateless_call(
            values(layer.trainable_variables),
            values(layer.non_trainable_variables),
            inputs,
        )
        return outputs

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)


class RoundedActivations(keras.layers.Layer):
    """Rounds activations to 256 steps of a range.

    The range is a moving average of the smallest and the largest value of
    the training batches, and contains 0. It is the same on all replicas,
    which average the extremes of the whole batch.

    Args:
        fixed: `(low, high)`, a range that does not move; or None.
    """

    def __init__(self, fixed=None, **kwargs):
        super().__init__(**kwargs)
        self.fixed = fixed

    def build(self, input_shape):
        low, high = self.fixed or (0.0, 0.0)
        self.low, self.high = (
            self.add_weight(
                name=name,
                shape=(),
                initializer=keras.initializers.Constant(value),
                trainable=False,
            )
            for name, value in (("low", low), ("high", high))
        )

    def call(self, inputs, training=None, follows=True):
        """Rounds.

        Args:
            inputs: float32 tensor.
            training: bool; True moves the range.
            follows: bool; False leaves the range as it is.
        """
        if training and follows and self.fixed is None:
            self._follow(inputs)
        return tf.quantization.fake_quant_with_min_max_vars(
            inputs,
            tf.convert_to_tensor(self.low),
            tf.convert_to_tensor(self.high),
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "fixed": self.fixed}

    def _follow(self, inputs):
        extremes = _extremes(tf.stop_gradient(inputs))
        is_first = tf.equal(self.low.value, self.high.value)
        for variable, current in zip((self.low, self.high), extremes):
            moved = _MOMENTUM * variable + (1.0 - _MOMENTUM) * current
            variable.assign(tf.where(is_first, current, moved))


def _extremes(values):
    """Smallest and largest value of the whole batch, and 0: two scalars."""
    extremes = tf.stack([-tf.reduce_min(values), tf.reduce_max(values)])
    # Also where a replica has no example.
    extremes = tf.maximum(extremes, 0.0)
    context = tf.distribute.get_replica_context()
    if context is not None and context.num_replicas_in_sync > 1:
        # There is no maximum over replicas, but a sum.
        count = context.num_replicas_in_sync
        index = context.replica_id_in_sync_group
        rows = tf.one_hot(index, count)[:, tf.newaxis] * extremes
        rows = context.all_reduce(tf.distribute.ReduceOp.SUM, rows)
        extremes = tf.reduce_max(rows, axis=0)
    return -extremes[0], extremes[1]

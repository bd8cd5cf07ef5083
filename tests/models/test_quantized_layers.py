"""Rounding of kernels and activations, against numpy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.models import quantized_layers
from kd_keras.training import devices

SHAPE = (4, 4, 3)
# As the largest weight of a channel, it is outside of TensorFlow's range of
# the channel, by the rounding of float32.
OUTSIDE = 1.9958149


def in_steps(values, low, high):
    """Values rounded to 256 steps over a range; one of the steps is 0."""
    step = (high - low) / 255
    zero = np.round(-low / step)
    return (np.clip(np.round(values / step), -zero, 255 - zero)) * step


@pytest.mark.parametrize(
    ("layer", "columns"),
    [
        (keras.layers.Conv2D(5, 3), 5),
        (keras.layers.DepthwiseConv2D(3, depth_multiplier=2), 6),
        (keras.layers.Dense(7), 7),
    ],
)
def test_each_output_channel_has_steps_of_its_own(layer, columns):
    wrapper = quantized_layers.RoundedWeights(layer)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *SHAPE)).astype("float32")
    wrapper(x)
    # Several weights of a channel have one level, of -3 to 3.
    kernel = rng.uniform(-0.05, 0.05, layer.kernel.shape).reshape(-1, columns)
    kernel[0] = OUTSIDE
    kernel = kernel.astype("float32") * 2.0 ** np.arange(columns)
    step = np.abs(kernel).max(axis=0) / 127
    levels = np.round(kernel / step)
    layer.kernel.assign(kernel.reshape(layer.kernel.shape))
    with tf.GradientTape() as tape:
        rounded = quantized_layers.rounded_kernel(layer)
        total = tf.reduce_sum(rounded)
    got = rounded.numpy().reshape(kernel.shape)
    np.testing.assert_allclose(got, levels * step, rtol=1e-5, atol=1e-6)
    for values, of_channel in zip(got.T, levels.T):
        assert len(np.unique(values)) == len(np.unique(of_channel))
    # The gradient passes as if nothing were rounded.
    np.testing.assert_array_equal(
        tape.gradient(total, layer.kernel.value), np.ones(layer.kernel.shape)
    )
    outputs = wrapper(x)
    layer.kernel.assign(rounded)
    np.testing.assert_allclose(outputs, layer(x), rtol=1e-4, atol=1e-4)


def test_a_range_follows_the_batches_and_holds_0():
    layer = quantized_layers.RoundedActivations()
    first = np.array([[1.0, 3.0], [2.0, 4.0]], "float32")
    second = np.array([[-1.0, 2.0]], "float32")
    layer(first, training=True)
    assert [float(layer.low), float(layer.high)] == [0.0, 4.0]
    outputs = layer(second, training=True)
    expected = [-0.01, 0.99 * 4 + 0.01 * 2]
    np.testing.assert_allclose(layer.get_weights(), expected, rtol=1e-6)
    np.testing.assert_allclose(outputs, in_steps(second, *expected), rtol=1e-4)
    layer(100 * first, training=False)
    layer(100 * first, training=True, follows=False)
    np.testing.assert_allclose(layer.get_weights(), expected, rtol=1e-6)


def test_a_fixed_range_does_not_follow():
    layer = quantized_layers.RoundedActivations(fixed=(0.0, 255.0))
    pixels = np.arange(-3, 260, dtype="float32")
    outputs = layer(pixels, training=True)
    np.testing.assert_array_equal(outputs, np.clip(pixels, 0, 255))


def test_replicas_have_the_range_of_the_whole_batch():
    strategy = devices.make_strategy("2")
    with strategy.scope():
        layer = quantized_layers.RoundedActivations()
        layer.build((None, 1))
    # The second replica has the largest value, and no example at the end.
    batches = [[[-5.0], [1.0], [2.0], [7.0]], [[3.0]]]
    alone = quantized_layers.RoundedActivations()
    for batch in batches:
        batch = np.array(batch, "float32")
        parts = [batch[: len(batch) // 2 or 1], batch[len(batch) // 2 or 1 :]]
        values = strategy.experimental_distribute_values_from_function(
            lambda context, parts=parts: tf.constant(
                parts[context.replica_id_in_sync_group]
            )
        )
        strategy.run(
            tf.function(lambda x: layer(x, training=True)), args=(values,)
        )
        alone(batch, training=True)
    for own, expected in zip(layer.weights, alone.get_weights()):
        for value in strategy.experimental_local_results(own.value):
            assert float(value) == expected

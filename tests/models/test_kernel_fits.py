"""Kernels that are fitted to what they shall compute."""

import keras
import numpy as np
import pytest

from kd_keras.models import kernel_fits

_layers = keras.layers


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: _layers.Conv2D(6, 3, padding="same"), (9, 9, 4)),
        (lambda: _layers.Conv2D(6, (3, 2), strides=2), (9, 8, 4)),
        (
            lambda: _layers.Conv2D(6, 3, strides=2, padding="same"),
            (10, 9, 4),
        ),
        (lambda: _layers.Conv2D(6, 3, dilation_rate=2), (9, 9, 4)),
        (lambda: _layers.Conv2D(6, 1, activation="relu"), (5, 5, 4)),
        (lambda: _layers.Dense(6, activation="tanh"), (20,)),
        (lambda: _layers.Dense(6, use_bias=False), (20,)),
    ],
)
def test_fit_finds_the_weights_that_computed_the_targets(make, shape):
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(220, *shape)).astype("float32")
    source, fitted = make(), make()
    for layer in (source, fitted):
        layer.build((None, *shape))
    if source.use_bias:
        source.bias.assign(draw.normal(size=6))
    activation = source.activation
    targets = kernel_fits.product(source, inputs)
    assert source.activation is activation
    kernel_fits.fit(fitted, inputs, targets)
    for found, expected in zip(fitted.weights, source.weights):
        np.testing.assert_allclose(
            found.numpy(), expected.numpy(), atol=0.01, rtol=0.01
        )


def test_convolution_without_bias_is_fitted_up_to_a_constant():
    draw = np.random.default_rng(0)
    inputs = 3 + draw.normal(size=(100, 6, 6, 2)).astype("float32")
    source = _layers.Conv2D(3, 3)
    fitted = _layers.Conv2D(3, 3, use_bias=False)
    targets = np.array(source(inputs)) + [1.0, -20.0, 300.0]
    fitted.build(inputs.shape)
    kernel_fits.fit(fitted, inputs, targets)
    np.testing.assert_allclose(
        fitted.kernel.numpy(), source.kernel.numpy(), atol=0.02
    )


def test_values_are_forgotten_once_no_call_takes_them():
    from kd_keras.utils import keras_internals

    inputs = keras.Input((4,))
    x = shortcut = _layers.Dense(4)(inputs)
    x = _layers.Add()([_layers.ReLU()(x), shortcut])
    graph = keras_internals.graph(keras.Model(inputs, x))
    values = kernel_fits.Values(graph, np.ones((3, 4)))
    dense, relu, add = graph.calls
    values.compute(dense)
    with pytest.raises(KeyError):
        values[dense.inputs[0]]
    values.compute(relu)
    assert values[dense.output].shape == (3, 4)
    values.compute(add)
    assert values[add.output].shape == (3, 4)
    for tensor in (dense.output, relu.output):
        with pytest.raises(KeyError):
            values[tensor]

"""Networks that cannot train with the rounding of int8, and the reasons."""

import keras
import numpy as np
import pytest
import subclassed

from kd_keras.models import quantization

L = keras.layers


def vectors_normalised():
    inputs = keras.Input((8, 8, 3))
    x = L.BatchNormalization(name="late")(L.GlobalAveragePooling2D()(inputs))
    return keras.Model(inputs, L.Dense(4)(x))


def activation_normalised():
    x = inputs = keras.Input((8,))
    x = L.BatchNormalization(name="late")(L.Dense(4, activation="relu")(x))
    return keras.Model(inputs, L.Dense(4)(x))


def called_twice():
    inputs, layer = keras.Input((8, 8, 3)), L.Conv2D(3, 1, name="twice")
    return keras.Model(inputs, L.Flatten()(layer(layer(inputs))))


def model_called_twice():
    inputs, layer = keras.Input((8, 8, 3)), L.Conv2D(3, 1, name="inner")
    model = keras.Sequential([keras.Input((8, 8, 3)), layer])
    return keras.Model(inputs, L.Flatten()(model(model(inputs))))


def two_outputs():
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, [L.Flatten()(inputs), inputs], name="two")


def operation(function):
    def make():
        inputs = keras.Input((8, 8, 3))
        x = function(L.Conv2D(3, 1)(inputs))
        return keras.Model(inputs, L.Flatten()(x))

    return make


def called(make, **arguments):
    """A network whose layer `c` is called with arguments besides its input."""
    return operation(lambda x: make(name="c")(x, **arguments))


def normalised_model(name):
    return keras.Sequential([L.BatchNormalization(name="inner")], name=name)


def mask_from_images():
    inputs = keras.Input((8, 8, 3))
    mask = L.Reshape((8, 8))(L.Conv2D(1, 1)(inputs))
    x = L.BatchNormalization(name="c")(L.Conv2D(3, 1)(inputs), mask=mask)
    return keras.Model(inputs, L.Flatten()(x))


def sequential(*layers):
    return lambda: keras.Sequential(
        [keras.Input((8, 8, 3)), *(make() for make in layers), L.Flatten()]
    )


def any_size():
    return keras.Sequential(
        [keras.Input((None, None, 3)), L.GlobalAveragePooling2D()]
    )


def converted(change):
    def make():
        network = sequential(L.Flatten, lambda: L.Dense(4, name="d"))()
        change(network)
        return network

    return make


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            sequential(lambda: L.Activation("gelu", name="g")),
            r"g \(Activation with activation gelu\)",
        ),
        (
            sequential(lambda: L.Conv2D(1, 1, activation="tanh", name="c")),
            r"c \(Conv2D with activation tanh\)",
        ),
        (
            sequential(lambda: L.ReLU(negative_slope=0.1, max_value=6)),
            r"\(ReLU with negative_slope=0.1\)",
        ),
        (sequential(lambda: L.ReLU(0.0)), r"\(ReLU with max_value=0.0\)"),
        (
            sequential(lambda: L.Normalization(invert=True)),
            r"\(Normalization with invert=True\)",
        ),
        (
            sequential(lambda: L.LayerNormalization(name="n")),
            r"n \(LayerNormalization\)",
        ),
        (
            sequential(lambda: L.DepthwiseConv2D(2, dilation_rate=2)),
            r"\(DepthwiseConv2D with dilation_rate=\(2, 2\)\)",
        ),
        (sequential(lambda: L.Dense(4)), r"\(Dense of \(8, 8, 3\)\)"),
        (sequential(subclassed.Doubled), r"Received: doubled \(Doubled\)"),
        (
            operation(lambda x: x + x),
            r"\(Add, an operation; use keras.layers.Add\)",
        ),
        (
            operation(keras.activations.relu),
            r"\(ReLU, an operation; use keras.layers.ReLU\)",
        ),
        (operation(lambda x: 2 * x), r"\(Multiply, an operation\)$"),
        (operation(keras.ops.relu), "an operation; use keras.layers.ReLU"),
        (vectors_normalised, "late"),
        (activation_normalised, "without an activation.*late"),
        (called_twice, r"Received: twice \(Conv2D, called 2 times\)$"),
        (model_called_twice, r"sequential\w* \(Sequential, called 2 times\)$"),
        (
            called(L.BatchNormalization, training=True),
            r"c \(BatchNormalization, called with training=True\)$",
        ),
        (
            called(normalised_model, training=True),
            r"inner \(BatchNormalization, called with training=True\)$",
        ),
        (
            called(L.BatchNormalization, mask=np.ones((1, 8, 8), bool)),
            r"c \(BatchNormalization, called with mask\)$",
        ),
        (
            called(normalised_model, mask=np.ones((1, 8, 8), bool)),
            r"c \(Sequential, called with mask\)$",
        ),
        (mask_from_images, r"c \(BatchNormalization, called with mask\)$"),
        (
            operation(lambda x: L.Add(name="c")([x, np.ones((1, 8, 8, 3))])),
            r"c \(Add, called with constants\)$",
        ),
        (two_outputs, "two"),
        (subclassed.Doubled, "call method of its own.*doubled"),
        (lambda: keras.Model(), "one input and one output"),
        (any_size, r"fixed size.*\(None, None, 3\)"),
        (
            converted(lambda network: network.quantize("int8")),
            r"d \(Dense, quantized to int8 by Keras\)",
        ),
        (
            converted(lambda network: network.layers[-2].enable_lora(2)),
            r"d \(Dense with LoRA\)",
        ),
    ],
)
def test_other_networks_are_refused(make, words):
    with pytest.raises(ValueError, match=f"student.quantize needs.*{words}"):
        quantization.quantized(make(), (0, 255))

"""The activation that a model ends in."""

import keras
import nets
import pytest
import subclassed
import tensorflow as tf
from keras import layers

from kd_keras.models import activations


def ending(*operations):
    network = nets.make_network(num_classes=4)
    x = network.output
    for operation in operations:
        x = operation(x)
    return keras.Model(network.input, x)


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([], "linear"),
        ([layers.Dense(3, "softmax")], "softmax"),
        ([layers.Dense(3, tf.nn.softmax)], "softmax"),
        ([layers.Softmax()], "softmax"),
        ([layers.Activation("softmax", dtype="float32")], "softmax"),
        ([keras.ops.softmax], "softmax"),
        ([layers.Softmax(), layers.Reshape((4,))], "softmax"),
        ([layers.Softmax(), layers.Activation("linear")], "softmax"),
        ([layers.Activation("sigmoid"), layers.Dropout(0.5)], "sigmoid"),
        ([keras.ops.sigmoid], "sigmoid"),
        ([layers.Activation("log_softmax")], "other"),
        ([layers.Lambda(keras.ops.softmax)], None),
        ([keras.Sequential([layers.Dense(3, "softmax")])], "softmax"),
    ],
)
def test_the_last_activation_is_found_through_layers(operations, expected):
    model = ending(*operations)
    assert activations.of_model(model) == expected
    assert activations.of_model(keras.Sequential([model])) == expected


def test_a_layer_that_other_networks_call_is_followed_in_its_own():
    reshape = layers.Reshape((4,))
    assert activations.of_model(ending(layers.Softmax(), reshape)) == "softmax"
    assert activations.of_model(ending(reshape)) == "linear"


def test_subclassed_models_and_several_outputs_are_unknown():
    assert activations.of_model(subclassed.Doubled(layers.Softmax())) is None

    class Own(keras.Model):
        def call(self, x):
            return keras.ops.softmax(x)

    assert activations.of_model(Own()) is None
    network = nets.make_network()
    both = keras.Model(network.input, [network.output, network.output])
    assert activations.of_model(both) is None


def test_probabilities_are_refused_with_the_activation():
    with pytest.raises(ValueError, match=r"the student must.*ends in sigmoid"):
        activations.check_logits(
            ending(layers.Activation("sigmoid")), role="student"
        )
    activations.check_logits(ending(), role="student")

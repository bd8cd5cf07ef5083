"""Networks that are trained as their int8 model computes."""

import built
import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.config import student
from kd_keras.deployment import saved_model, source
from kd_keras.deployment.formats import litert_int8
from kd_keras.models import quantization
from kd_keras.models.networks import MODELS
from kd_keras.teachers import loading

L = keras.layers
IMAGES = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3))
IMAGES = np.cumsum(IMAGES, axis=1).astype("uint8")


def every_layer():
    """A network with each kind of layer, and a branch."""
    inputs = keras.Input((8, 8, 3))
    x = L.Normalization(mean=[120, 130, 140], variance=[900, 1600, 2500])(
        inputs
    )
    x = L.Conv2D(6, 3, padding="same", activation="relu6")(x)
    y = L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(x))
    x = L.ReLU()(L.Add()([x, y]))
    x = L.AveragePooling2D(2)(x)
    x = L.MaxPooling2D()(L.Conv2D(8, 1, use_bias=False)(x))
    x = L.Activation("silu")(L.BatchNormalization(scale=False)(x))
    x = L.ZeroPadding2D()(L.Dropout(0.1)(x))
    y = L.GlobalMaxPooling2D()(x)
    x = L.GlobalAveragePooling2D()(x)
    x = L.Flatten()(L.Reshape((8, 1))(L.Add()([x, y])))
    x = L.ReLU(6)(L.BatchNormalization()(L.Dense(9)(x)))
    return keras.Model(inputs, L.Rescaling(0.5)(L.Dense(4)(x)), name="every")


def residual():
    """A network that adds what a convolution returns, as ResNets do."""
    inputs = keras.Input((8, 8, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(6, 3)(inputs)))
    y = L.BatchNormalization()(L.Conv2D(8, 3, 2, padding="same")(x))
    x = L.ReLU()(L.Add()([y, L.Conv2D(8, 1, 2)(x)]))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def with_statistics(network):
    """The network with other weights than at the start of a training."""
    rng = np.random.default_rng(1)
    for variable in network.variables:
        name = variable.path.rpartition("/")[2]
        if name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.3, 2, variable.shape))
        if name in ("beta", "bias", "moving_mean"):
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return network


@pytest.fixture(scope="module", params=[every_layer, residual])
def networks(request):
    """The float network, the one that rounds after a batch, and its end."""
    keras.utils.set_random_seed(0)
    network = with_statistics(request.param())
    rounding = quantization.quantized(network, (0, 255))
    rounding(IMAGES, training=True)
    return network, rounding, quantization.finished(rounding)


def test_it_computes_what_the_float_network_does_but_for_rounding(networks):
    network, rounding, _ = networks
    expected = network(IMAGES, training=False).numpy()
    difference = np.abs(rounding(IMAGES, training=False) - expected).max()
    assert 0 < difference < 0.05 * np.abs(expected).max()
    # BatchNorm is folded.
    names = {type(layer).__name__ for layer in rounding.layers}
    assert "BatchNormalization" not in names
    assert rounding.layers[0].name == "images"


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_all_networks_of_the_package_can_round(name):
    images = built.make_images()
    network = built.network(name, images=images)
    rounding = quantization.quantized(network, (0, 255))
    rounding(images, training=True)
    expected = network(images, training=False).numpy()
    difference = np.abs(rounding(images, training=False) - expected).max()
    assert 0 < difference < 0.1 * np.abs(expected).max()


@pytest.mark.slow
def test_its_end_has_plain_layers_and_the_same_bits(networks, tmp_path):
    _, rounding, finished = networks
    finished.save(tmp_path / "end.keras")
    again = keras.models.load_model(tmp_path / "end.keras")
    modules = {type(layer).__module__ for layer in again.layers}
    assert all(module.startswith("keras.") for module in modules)
    np.testing.assert_array_equal(
        again(IMAGES, training=False), rounding(IMAGES, training=False)
    )


@pytest.mark.slow
def test_the_int8_file_computes_the_same(networks, tmp_path):
    _, rounding, finished = networks
    saved_model.export_saved_model(finished, tmp_path / "model")
    exported = source.Source(tmp_path / "model")
    assert exported.rounds
    path = tmp_path / "model.tflite"
    path.write_bytes(litert_int8.convert(exported))
    expected = rounding(IMAGES, training=False).numpy()
    logits = loading.load_classifier(path)(IMAGES)
    last = rounding.layers[-1]
    step = (float(last.high) - float(last.low)) / 255
    # Sums of rounded values; other kernels of LiteRT round in other ways.
    assert np.abs(logits - expected).max() < 7 * step
    interpreter = tf.lite.Interpreter(str(path))
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    assert taken["dtype"] == np.uint8 and taken["quantization"] == (1.0, 0)
    kinds = {
        np.dtype(tensor["dtype"]).kind
        for tensor in interpreter.get_tensor_details()
    }
    assert kinds <= {"i", "u"}


def test_constraints_are_of_weights_that_are_not_folded():
    limits = {
        "kernel_constraint": keras.constraints.MaxNorm(0.1, axis=(0, 1, 2)),
        "kernel_regularizer": keras.regularizers.L2(0.5),
    }
    network = sequential(
        lambda: L.Conv2D(4, 3, name="folded", **limits),
        L.BatchNormalization,
        lambda: L.Conv2D(4, 3, name="kept", **limits),
    )()
    rounding = quantization.quantized(network, (0, 255))
    folded, kept = (rounding.get_layer(x).layer for x in ("folded", "kept"))
    before = np.array(folded.kernel)
    assert np.linalg.norm(before) > 0.5
    np.testing.assert_allclose(
        rounding.losses, [0.5 * np.sum(np.square(kept.kernel))], rtol=1e-5
    )
    optimizer = keras.optimizers.SGD(0.0)
    variables = rounding.trainable_variables
    optimizer.apply([keras.ops.zeros_like(x) for x in variables], variables)
    np.testing.assert_array_equal(folded.kernel, before)
    norms = np.linalg.norm(np.array(kept.kernel).reshape(-1, 4), axis=0)
    assert norms.max() < 0.1001


def sequential(*layers):
    return lambda: keras.Sequential(
        [keras.Input((8, 8, 3)), *(make() for make in layers), L.Flatten()]
    )


def test_generated_names_are_free():
    network = sequential(
        lambda: L.Rescaling(1 / 255, name="images"),
        lambda: L.Conv2D(3, 1, activation="relu", name="conv"),
        lambda: L.Conv2D(3, 1, activation="silu", name="conv_relu"),
        lambda: L.Conv2D(3, 1, name="conv_relu_range"),
    )()
    rounding = quantization.quantized(network, (0, 255))
    names = [layer.name for layer in rounding.layers]
    own = {"images_1", "conv", "conv_relu", "conv_relu_range"}
    assert own < set(names) and names[0] == "images"
    assert quantization.finished(rounding).input_shape == (None, 8, 8, 3)


def test_models_inside_the_network_are_parts_of_it():
    inputs = keras.Input((8, 8, 3))
    x = L.Rescaling(1 / 255)(inputs)
    body = keras.Sequential([L.Conv2D(4, 3, name="same"), L.ReLU()])
    x = L.BatchNormalization(name="norm")(L.Conv2D(3, 1, name="same")(x))
    head = keras.Sequential([keras.Sequential([L.Flatten()]), L.Dense(5)])
    network = with_statistics(keras.Model(inputs, head(body(x))))
    rounding = quantization.quantized(network, (0, 255))
    rounding(IMAGES, training=True)
    names = [layer.name for layer in rounding.layers]
    assert {"same", "same_1"} < set(names) and "norm" not in names
    expected = network(IMAGES, training=False).numpy()
    difference = np.abs(rounding(IMAGES, training=False) - expected).max()
    assert 0 < difference < 0.05 * np.abs(expected).max()


def frozen():
    """A network whose BatchNormalization never uses its batch."""
    inputs = keras.Input((8, 8, 3))
    x = L.BatchNormalization()(L.Conv2D(3, 3)(inputs), training=False)
    body = keras.Sequential([L.Conv2D(4, 3), L.BatchNormalization()])
    x = L.GlobalAveragePooling2D()(body(x, training=False))
    return keras.Model(inputs, L.Dense(5)(x))


def inputs_by_name():
    """A model of the inputs `b` and `a` in the network, called with a dict."""
    a, b = (keras.Input((8, 8, 3), name=name) for name in "ab")
    body = keras.Model([b, a], L.Add()([L.Conv2D(3, 1)(a), b]))
    inputs = keras.Input((8, 8, 3))
    x = body({"a": inputs, "b": L.ReLU()(L.Conv2D(3, 1)(inputs))})
    return keras.Model(inputs, L.Dense(5)(L.GlobalAveragePooling2D()(x)))


@pytest.mark.slow
@pytest.mark.parametrize("make", [frozen, inputs_by_name])
def test_calls_have_the_same_arguments(make):
    keras.utils.set_random_seed(0)
    network = with_statistics(make())
    rounding = quantization.quantized(network, (0, 255))
    rounding(IMAGES, training=True)
    expected = network(IMAGES).numpy()
    difference = np.abs(rounding(IMAGES) - expected).max()
    assert 0 < difference < 0.05 * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("of_model", [None, False])
def test_a_dropout_drops_where_the_network_s_does(of_model):
    inputs = keras.Input((8, 8, 3))
    x = L.Dropout(0.5)(L.Conv2D(3, 1)(inputs), training=True)
    body = keras.Model(inputs, L.Flatten()(x))
    network = keras.Model(inputs, body(inputs, training=of_model))
    rounding = quantization.quantized(network, (0, 255))
    rounding(IMAGES, training=True)
    for model in (network, rounding, quantization.finished(rounding)):
        whole = np.mean(model(IMAGES, training=False) == 0)
        # Keras takes the outermost `training` that is given.
        is_dropped = np.mean(model(IMAGES) == 0) > 0.4 + whole
        assert is_dropped == (of_model is None)


@pytest.mark.parametrize("function", [tf.nn.relu6, keras.ops.relu6])
def test_functions_are_activations(function):
    layer = L.Conv2D(3, 1, activation=function)
    network = sequential(lambda: layer)()
    rounding = quantization.quantized(network, (0, 255))
    rounding(IMAGES, training=True)
    assert np.max(rounding(IMAGES, training=False)) == pytest.approx(6)


def test_the_configuration_has_the_choices_of_the_table():
    (field,) = (x for x in student.SECTION.fields if x.name == "quantize")
    assert set(field.rule.choices) == {"", *quantization.QUANTIZERS}

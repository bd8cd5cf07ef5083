"""The fused kernel computes what Keras computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.deployment import saved_model as exports
from kd_keras.distillation import distiller
from kd_keras.models import batch_norm, build

SHAPE = (6, 5, 4, 3)


def images(shape=SHAPE, dtype="float32"):
    values = np.random.default_rng(0).normal(2.0, 3.0, shape)
    return tf.constant(values, dtype)


def network(**options):
    inputs = keras.Input(SHAPE[1:])
    layer = keras.layers.BatchNormalization(**options)
    # Layers inside layers are found, too.
    inner = keras.Sequential([keras.layers.Conv2D(3, 1), layer])
    model = keras.Model(inputs, inner(inputs))
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.5, 2, w.shape) for w in model.weights])
    return model, layer


def step(model, x, *, fused, training=True):
    """Outputs, gradients and moving averages of one call."""
    before = model.get_weights()
    with tf.GradientTape() as tape:
        tape.watch(x)
        if fused:
            with batch_norm.fused(model):
                outputs = model(x, training=training)
        else:
            outputs = model(x, training=training)
        loss = tf.reduce_sum(tf.sin(tf.cast(outputs, "float32")))
    gradients = tape.gradient(loss, [x, *model.trainable_variables])
    after = model.get_weights()
    model.set_weights(before)
    return [outputs, *gradients, *after]


def kernels(model, x):
    """Types of the operations of a traced call in training."""

    @tf.function
    def call(x):
        with batch_norm.fused(model):
            return model(x, training=True)

    graph = call.get_concrete_function(x).graph
    return [operation.type for operation in graph.get_operations()]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"epsilon": 1e-12, "momentum": 0.6},
        {"scale": False},
        {"center": False},
        {"synchronized": True},
        {"trainable": False},
    ],
)
def test_results_are_those_of_keras(options, training):
    model, _ = network(**options)
    x = images()
    assert "FusedBatchNormV3" in kernels(model, x)
    expected = step(model, x, fused=False, training=training)
    received = step(model, x, fused=True, training=training)
    for keras_s, ours in zip(expected, received):
        np.testing.assert_allclose(ours, keras_s, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_averages_are_float32_in_mixed_precision(policy):
    layer = keras.layers.BatchNormalization(dtype=policy)
    model = keras.Sequential([keras.Input(SHAPE[1:]), layer])
    x = images(dtype=policy.removeprefix("mixed_"))
    assert "FusedBatchNormV3" in kernels(model, x)
    outputs, *_, mean, variance = step(model, x, fused=True)
    assert outputs.dtype == x.dtype
    _, *_, keras_mean, keras_variance = step(model, x, fused=False)
    # An average over 120 of values of 3 digits.
    np.testing.assert_allclose(mean, keras_mean, rtol=1e-3)
    np.testing.assert_allclose(variance, keras_variance, rtol=1e-3)


def test_layers_that_the_kernel_cannot_compute_are_unchanged():
    class Own(keras.layers.BatchNormalization):
        def call(self, inputs, training=None, mask=None):
            return inputs

    def other(layer, shape=SHAPE[1:]):
        model = keras.Sequential([keras.Input(shape), layer])
        x = images((6, *shape))
        assert "FusedBatchNormV3" not in kernels(model, x)
        for keras_s, ours in zip(
            step(model, x, fused=False), step(model, x, fused=True)
        ):
            np.testing.assert_array_equal(ours, keras_s)

    other(Own())
    other(keras.layers.BatchNormalization(axis=1))
    other(keras.layers.BatchNormalization(), shape=(7,))


def test_the_network_is_restored_after_an_error():
    model, layer = network()
    with pytest.raises(KeyError), batch_norm.fused(model):
        assert "call" in vars(layer)
        raise KeyError
    assert "call" not in vars(layer)
    assert layer.call.__func__ is keras.layers.BatchNormalization.call


@pytest.mark.slow
def test_a_training_step_uses_the_kernel():
    student = build.build_model(
        "resnet8",
        image_shape=(8, 8, 3),
        num_classes=5,
        images=np.zeros((2, 8, 8, 3), "uint8"),
    )
    model = distiller.Distiller(student)
    model.compile(optimizer="sgd")
    batch = (tf.zeros((4, 8, 8, 3)), {"teacher_logits": tf.zeros((4, 5))})
    model.fit(*batch, verbose=0)
    traced = tf.function(model.train_step).get_concrete_function(batch)
    types = [x.type for x in traced.graph.get_operations()]
    assert types.count("FusedBatchNormV3") == 7
    assert types.count("FusedBatchNormGradV3") == 7


def test_an_exported_model_uses_the_kernel(tmp_path):
    model, _ = network()
    exports.export_saved_model(model, tmp_path / "model")
    assert (
        b"FusedBatchNormV3"
        in (tmp_path / "model" / "saved_model.pb").read_bytes()
    )

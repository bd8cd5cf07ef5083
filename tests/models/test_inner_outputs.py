"""Inner outputs of Keras models, one call with their outputs."""

import keras
import nets
import numpy as np
import pytest
import subclassed
import tensorflow as tf

from kd_keras.models import batch_norm, inner_outputs


def make_backbone():
    inputs = keras.Input(nets.IMAGE_SHAPE)
    x = keras.layers.Conv2D(4, 3, name="convolution")(inputs)
    x = keras.layers.BatchNormalization(name="normalised")(x)
    return keras.Model(
        inputs, keras.layers.GlobalAveragePooling2D()(x), name="backbone"
    )


def make_nested():
    """A model with a backbone inside, with operations after its head."""
    inputs = keras.Input(nets.IMAGE_SHAPE)
    x = keras.layers.Dropout(0.5)(make_backbone()(inputs / 255))
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x) * 2.0)


@pytest.fixture
def images():
    return tf.constant(nets.make_images(4))


def test_inner_outputs_of_a_nested_model_are_those_of_its_parts(images):
    model = make_nested()
    names = ["convolution", "backbone", ""]
    extractor = inner_outputs.with_features(model, names)
    outputs, (convolution, pooled, last) = extractor(images)
    backbone = model.get_layer("backbone")
    np.testing.assert_array_equal(outputs, model(images))
    np.testing.assert_allclose(
        convolution,
        backbone.get_layer("convolution")(images / 255),
        atol=1e-6,
    )
    np.testing.assert_allclose(pooled, backbone(images / 255), atol=1e-6)
    np.testing.assert_allclose(
        outputs, 2 * model.get_layer("head")(last), atol=1e-6
    )
    np.testing.assert_array_equal(last, pooled)
    assert extractor.shapes == [(6, 6, 4), (4,), (4,)]


def test_last_features_are_taken_before_dropout(images):
    extractor = inner_outputs.with_features(make_nested(), ["", "backbone"])
    outputs, (last, pooled) = extractor(images, training=True)
    np.testing.assert_array_equal(last, pooled)
    assert np.ptp(outputs) > 0


@pytest.mark.slow
def test_a_call_in_training_updates_the_statistics_once(images):
    model = make_backbone()
    layer = model.get_layer("normalised")
    extractor = inner_outputs.with_features(model, ["normalised"])
    extractor(images, training=False)
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(4))
    _, (features,) = tf.function(extractor)(images, training=True)
    mean = tf.reduce_mean(model.get_layer("convolution")(images), (0, 1, 2))
    # Momentum 0.99.
    np.testing.assert_allclose(layer.moving_mean, 0.01 * mean, rtol=1e-4)
    np.testing.assert_allclose(tf.reduce_mean(features), 0, atol=1e-5)


def test_gradients_reach_the_layers_below_a_feature_only(images):
    model = make_nested()
    extractor = inner_outputs.with_features(model, ["convolution"])
    with tf.GradientTape() as tape:
        _, (features,) = extractor(images, training=True)
        loss = tf.reduce_sum(features**2)
    kernel, head = model.trainable_variables[0], model.trainable_variables[-1]
    first, last = tape.gradient(loss, [kernel.value, head.value])
    assert np.abs(first).max() > 0 and last is None


def test_layers_and_outputs_of_a_subclassed_model_are_reached(images):
    model = subclassed.Heads()
    model(images)
    names = ["", model.flatten.name, "features"]
    extractor = inner_outputs.with_features(model, names)
    outputs, (last, flat, features) = extractor(images)
    np.testing.assert_array_equal(last, outputs["features"])
    np.testing.assert_array_equal(flat / 255, last)
    np.testing.assert_array_equal(features, last)
    assert extractor.shapes == [(64,)] * 3


def test_a_model_that_was_never_called_needs_the_shape_of_its_images(images):
    with pytest.raises(ValueError, match="call it on a batch first"):
        inner_outputs.with_features(subclassed.Heads(), [""])
    extractor = inner_outputs.with_features(
        subclassed.Heads(), [""], image_shape=nets.IMAGE_SHAPE
    )
    outputs, (last,) = extractor(images)
    np.testing.assert_array_equal(last, outputs["features"])


def test_a_head_that_is_a_convolution_has_pooled_features():
    # As the MobileNets of keras.applications have it.
    inputs = keras.Input(nets.IMAGE_SHAPE)
    x = keras.layers.Conv2D(4, 3)(inputs)
    x = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = keras.layers.Conv2D(7, 1, name="head")(keras.layers.Dropout(0.1)(x))
    logits = keras.layers.Activation("linear")(keras.layers.Flatten()(x))
    network = keras.Model(inputs, logits)
    extractor = inner_outputs.with_features(network, [""])
    assert extractor.shapes == [(1, 1, 4)]


def test_logits_of_two_layers_have_no_last_features():
    inputs = keras.Input((4,))
    logits = keras.layers.Dense(2)(inputs) + keras.layers.Dense(2)(inputs)
    with pytest.raises(ValueError, match="the one layer .*'dense.*', 'dense"):
        inner_outputs.last_features(keras.Model(inputs, logits))


def test_an_unknown_name_is_refused_with_the_names_that_exist():
    with pytest.raises(ValueError) as caught:
        inner_outputs.with_features(make_nested(), ["convolutoin"])
    text = str(caught.value)
    assert "Did you mean 'convolution'?" in text and "\n" not in text
    assert "normalised" in text and "head" in text


def test_a_name_of_two_layers_is_refused():
    inputs = keras.Input(nets.IMAGE_SHAPE)
    pooled = make_backbone()(inputs)
    other = make_backbone()
    other.name = "other"
    model = keras.Model(inputs, pooled + other(inputs))
    with pytest.raises(ValueError, match="'convolution', which 2 layers"):
        inner_outputs.with_features(model, ["convolution"])
    names = ["backbone/convolution", "other/convolution"]
    extractor = inner_outputs.with_features(model, names)
    _, features = extractor(tf.constant(nets.make_images(2)))
    for name, feature in zip(names, features):
        layer = model.get_layer(name.split("/")[0]).get_layer("convolution")
        np.testing.assert_array_equal(
            feature, layer(tf.constant(nets.make_images(2)))
        )


def test_layers_are_observed_while_their_calls_are_replaced(images):
    model = make_backbone()
    extractor = inner_outputs.with_features(model, ["normalised"])
    for _ in range(2):
        with batch_norm.fused(model):
            _, (features,) = extractor(images)
        _, (plain,) = extractor(images)
        np.testing.assert_allclose(features, plain, rtol=1e-5)


def test_a_layer_that_does_not_run_has_no_features(images):
    class Spare(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.spare = keras.layers.Flatten(), keras.layers.ReLU()

        def call(self, images):
            return self.used(images)

    model = Spare()
    extractor = inner_outputs.with_features(model, [model.spare.name])
    with pytest.raises(ValueError, match="layer that runs"):
        extractor(images)


def test_a_model_is_saved_as_before(images, tmp_path):
    model = make_nested()
    config = model.get_config()
    inner_outputs.with_features(model, ["", "convolution"])
    assert model.get_config() == config
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images), model(images))

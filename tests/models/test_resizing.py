"""Resizing inside a model, as TensorFlow resizes images."""

import built
import keras
import numpy as np
import pytest
import shipped
import tensorflow as tf
from PIL import Image

from kd_keras.models import first_layer, image_spec, macs, resizing


@pytest.fixture(scope="module")
def photos():
    images, _ = shipped.cifar10_sample()
    return images[:8]


def make_network(size=16, outputs=5):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(outputs),
        ],
        name="small",
    )


@pytest.mark.parametrize("method", resizing.METHODS)
def test_each_method_is_tensorflow_s(photos, method):
    options = resizing.METHODS[method]
    for size in [(20, 20), (40, 50)]:
        np.testing.assert_allclose(
            resizing.resize(photos, size, method),
            tf.image.resize(photos, size, **options),
            atol=1e-3,
        )


def test_bicubic_is_pillow_s(photos):
    grey = photos[0, :, :, 0].astype("float32")
    expected = Image.fromarray(grey, mode="F").resize((9, 20), Image.BICUBIC)
    found = resizing.resize(grey[None, :, :, None], (20, 9), "bicubic")
    np.testing.assert_allclose(found[0, :, :, 0], expected, atol=1e-3)


@pytest.mark.parametrize("size", [(20, 20), (16, 24), (40, 50), (32, 9)])
def test_images_are_resized_as_by_tensorflow(photos, size):
    expected = tf.image.resize(photos, size, antialias=True)
    np.testing.assert_allclose(
        resizing.resize(photos, size), expected, atol=1e-3
    )
    parts = resizing.resize_array(photos, size, batch_size=3)
    np.testing.assert_allclose(parts, expected, atol=1e-3)


def test_a_resized_model_predicts_what_the_model_predicts(photos, tmp_path):
    network = make_network()
    model = resizing.resized(network, 32)
    assert model.input_shape == (None, 32, 32, 3)
    assert model.layers[-1] is network
    assert model.count_params() == network.count_params()
    small = tf.image.resize(photos, (16, 16), antialias=True)
    expected = network(small).numpy()
    np.testing.assert_allclose(model(photos), expected, atol=1e-4)
    # The file holds layers of Keras alone.
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(photos), expected, atol=1e-4)
    assert first_layer.expected_images(loaded) == image_spec.UINT8


def test_the_macs_are_those_of_the_resizing_and_the_network():
    model = resizing.resized(make_network(size=16), (32, 20))
    # Of 3 channels, first to 16 columns, then to 16 rows.
    products = 3 * 32 * 20 * 16 + 3 * 16 * 32 * 16
    assert macs.count_macs(model) == products + 16 * 16 * 3 * 5


def test_outputs_keep_their_names():
    network = make_network()
    named = {"logits": network.outputs[0], "features": network.layers[1].output}
    model = resizing.resized(keras.Model(network.inputs, named), 32)
    assert set(model.output) == {"logits", "features"}


def test_a_model_of_any_size_needs_a_size(photos):
    any_size = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()],
        name="any",
    )
    model = resizing.resized(any_size, 32, model_size=(8, 16))
    small = tf.image.resize(photos, (8, 16), antialias=True)
    np.testing.assert_allclose(model(photos), any_size(small), rtol=1e-5)
    with pytest.raises(ValueError, match="model_size must be set .*: any"):
        resizing.resized(any_size, 32)


@pytest.mark.parametrize(
    ("network", "options", "words"),
    [
        (make_network, {"model_size": 8}, "16 x 16. Received: 8 x 8 for small"),
        (
            lambda: keras.Sequential(
                [keras.Input((4,)), keras.layers.Dense(2)], name="flat"
            ),
            {},
            r"height, width, channels\). Received: flat with \(None, 4\)",
        ),
        (lambda: "a.keras", {}, "load_teacher.* takes a file. Received: 'a.k"),
    ],
    ids=["of another size", "of vectors", "no model"],
)
def test_a_model_of_other_images_is_refused(network, options, words):
    with pytest.raises(ValueError, match=words):
        resizing.resized(network(), 32, **options)


def test_a_network_is_built_for_its_own_size(photos):
    model = built.network("cnn_tiny", images=photos, image_size=24)
    network = model.layers[-1]
    assert model.input_shape == (None, 32, 32, 3)
    assert network.input_shape == (None, 24, 24, 3)
    # Its constants come from images of the size that it takes.
    small = resizing.resize_array(photos, (24, 24)).round()
    normalise = network.get_layer("normalise")
    np.testing.assert_allclose(
        np.ravel(normalise.variance), small.var((0, 1, 2)), rtol=1e-4
    )
    assert small.var() < 0.97 * photos.var()


def test_a_network_of_the_images_size_is_not_resized(photos):
    model = built.network("cnn_tiny", images=photos, image_size=32)
    assert not any(isinstance(x, keras.Model) for x in model.layers)


@pytest.mark.parametrize("size", [-3, 1.5, "12", (1, 2, 3), (0, 4)])
def test_a_size_is_one_or_two_numbers(size):
    with pytest.raises(ValueError, match="size must be .*Received: "):
        resizing.as_size(size)


def test_an_image_that_is_too_small_is_named(photos):
    with pytest.raises(ValueError, match="'cnn' must .*: 2 x 2, and an error"):
        built.network("cnn", images=photos, image_size=2)

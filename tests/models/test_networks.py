"""Layers and starting weights of the architectures."""

import tracemalloc
import zipfile

import built
import keras
import numpy as np
import pytest

from kd_keras.models.networks import common


@pytest.mark.slow
def test_mlp_drops_units_and_bounds_their_weights(tmp_path):
    model = built.network(
        "mlp", widths=(6, 4), dropout=(0.1, 0.0, 0.5), max_norm=0.25
    )
    kinds = [type(layer).__name__ for layer in model.layers[3:]]
    assert kinds == ["Dropout", "Dense", "Dense", "Dropout", "Dense"]
    rates = [x.rate for x in model.layers if hasattr(x, "rate")]
    assert rates == [0.1, 0.5]
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    model.fit(built.make_images(), np.arange(64) % 10, epochs=1, verbose=0)
    *hidden, logits = (x.kernel for x in model.layers if hasattr(x, "kernel"))
    for kernel in hidden:
        norms = np.linalg.norm(kernel, axis=0)
        assert norms.max() <= 0.25 + 1e-6 and np.isclose(norms, 0.25).any()
    assert np.linalg.norm(logits, axis=0).max() > 0.25
    # The file needs nothing of this package.
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert b"kd_keras" not in archive.read("config.json")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet8", "resnet18", "cnn", "airbench"])
def test_batch_norm_is_synchronized(name):
    norms = [
        layer
        for layer in built.network(name).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert norms and all(layer.synchronized for layer in norms)


def test_the_input_is_normalised_by_the_training_set():
    images = built.make_images(count=500)
    model = built.network("cnn", images=images)
    normalised = np.asarray(model.get_layer("normalise")(images))
    np.testing.assert_allclose(normalised.mean((0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(normalised.std((0, 1, 2)), 1, atol=1e-3)


def test_a_constant_channel_is_normalised_to_zero():
    images = np.zeros((4, 8, 8, 3), np.uint8)
    model = built.network("cnn", shape=(8, 8, 3), num_classes=2, images=images)
    np.testing.assert_array_equal(model.get_layer("normalise")(images), 0)


@pytest.mark.slow
def test_input_constants_are_saved_without_custom_objects(tmp_path):
    images = built.make_images(count=16, seed=2)
    model = built.network("airbench", widths=(8, 8, 8))
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        reloaded.predict(images, verbose=0), model.predict(images, verbose=0)
    )
    assert not reloaded.get_layer("whitening").trainable


@pytest.mark.slow
def test_airbench_starts_whitened_and_as_the_identity():
    images = built.make_images(count=500)
    model = built.network(
        "airbench",
        images=images,
        widths=(32, 40, 16),
    )
    whitening = model.get_layer("whitening")
    assert not whitening.trainable
    responses = np.asarray(
        whitening(model.get_layer("normalise")(images))
    ).reshape(-1, 24)
    np.testing.assert_allclose(responses[:, 12:], -responses[:, :12], atol=1e-4)
    covariance = np.cov(responses[:, :12].T)
    np.testing.assert_allclose(covariance, np.eye(12), atol=0.1)
    convolutions = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D) and layer is not whitening
    ]
    for layer in convolutions:
        kernel = layer.kernel.numpy()
        channels = min(kernel.shape[2:])
        expected = np.zeros((3, 3, kernel.shape[2], channels))
        expected[1, 1, range(channels), range(channels)] = 1
        np.testing.assert_array_equal(kernel[..., :channels], expected)


@pytest.mark.parametrize("scale", [1 / 255, 65_535 / 255, 1e-8])
def test_images_of_any_range_are_normalised_alike(scale):
    images = built.make_images().astype("float32")
    images[..., 2] = 7  # a channel that never varies
    networks = [
        built.network("cnn_tiny", images=images),
        built.network("cnn_tiny", images=images * np.float32(scale)),
    ]
    of_bytes, of_floats = (
        np.asarray(network.get_layer("normalise")(x))
        for network, x in zip(networks, (images, images * np.float32(scale)))
    )
    np.testing.assert_allclose(of_floats, of_bytes, atol=1e-3)
    assert not of_bytes[..., 2].any()


@pytest.mark.parametrize("low, high", [(0, 1), (-1, 1), (-300, 900)])
def test_networks_that_rescale_bytes_themselves_get_bytes(low, high):
    shares = built.make_images(8).astype("float32") / 255
    shares[0, 0, 0] = 0, 1, 0
    images = low + (high - low) * shares
    inputs = keras.Input(built.CIFAR)
    rescaled = keras.Model(inputs, common.from_0_to_255(inputs, images))
    np.testing.assert_allclose(rescaled(images), 255 * shares, atol=1e-2)
    assert common.from_0_to_255(inputs, built.make_images()) is inputs


def test_many_large_images_are_normalised_as_few(monkeypatch):
    images = built.make_images(50)
    expected = built.network("cnn_tiny", images=images).get_layer("normalise")
    monkeypatch.setattr(common, "_VALUES_AT_ONCE", 1000)
    found = built.network("cnn_tiny", images=images).get_layer("normalise")
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-6)
    np.testing.assert_allclose(found.variance, expected.variance, rtol=1e-6)


def test_many_large_images_are_whitened_as_few(monkeypatch):
    images = built.make_images(50)
    expected = built.network("airbench", images=images, widths=(8, 8, 8))
    monkeypatch.setattr(common, "_VALUES_AT_ONCE", 2 * images[0].size)
    tracemalloc.start()
    found = built.network("airbench", images=images, widths=(8, 8, 8))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All patches in float64, of 31 x 31 places in each image.
    assert most < 50 * 31 * 31 * 12 * 8
    kernels = [
        np.asarray(model.get_layer("whitening").kernel)
        for model in (found, expected)
    ]
    np.testing.assert_allclose(*kernels, atol=1e-5)

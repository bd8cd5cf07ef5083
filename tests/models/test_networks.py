"""Sizes, input conventions and starting points of the architectures."""

import zipfile

import keras
import numpy as np
import pytest

from kd_keras.models import networks

CIFAR = (32, 32, 3)


def pictures(count=64, shape=CIFAR, seed=0):
    generator = np.random.default_rng(seed)
    smooth = generator.integers(0, 256, (count, 1, 1, shape[-1]))
    noise = generator.integers(-40, 41, (count, *shape))
    return np.clip(smooth + noise, 0, 255).astype("uint8")


def build(name, *, shape=CIFAR, num_classes=10, **options):
    return networks.build_model(
        name,
        image_shape=shape,
        num_classes=num_classes,
        images=pictures(shape=shape),
        **options,
    )


@pytest.mark.parametrize(
    ("name", "options", "parameters", "macs"),
    [
        # MLPerf Tiny's reference, and facts of the literature.
        ("resnet8", {}, 78_666, 12_501_632),
        ("resnet20", {}, 274_442, 40_813_184),
        # 27 x 64 x 3 and so on, by hand.
        ("mlp", {"widths": (20,)}, 3072 * 20 + 20 + 210, 3072 * 20 + 200),
        ("airbench", {"widths": (64, 128, 128)}, 570_296, 54_223_904),
        ("airbench", {"widths": (32, 64, 128)}, 295_544, 19_887_392),
    ],
)
def test_parameters_and_macs(name, options, parameters, macs):
    model = build(name, **options)
    assert model.count_params() == parameters
    assert networks.count_macs(model) == macs


def test_macs_of_a_small_network_by_hand():
    model = build("cnn", shape=(28, 28, 1), widths=(8, 16))
    # 3x3 convolutions at 28 and at 14 pixels, then 7 x 7 x 16 -> 10.
    by_hand = 28 * 28 * 9 * 8 + 14 * 14 * 72 * 16 + 784 * 10
    assert networks.count_macs(model) == by_hand
    tiny = build("cnn_tiny", shape=(28, 28, 1))
    assert networks.count_macs(tiny) == by_hand


@pytest.mark.parametrize("name", [*networks.MODELS])
def test_every_model_takes_pictures_and_returns_logits(name):
    shape = (28, 28, 1) if "cnn" in name else CIFAR
    model = build(name, shape=shape, num_classes=7)
    images = pictures(count=16, shape=shape, seed=1)
    logits = model.predict(images, verbose=0)
    assert logits.shape == (16, 7) and logits.dtype == np.float32
    # Logits, not probabilities, and they depend on the picture.
    assert (logits < 0).any() and np.abs(logits.sum(-1) - 1).max() > 1e-2
    assert logits.std(axis=0).min() > 0
    # uint8 and float pictures are the same pictures.
    as_float = model.predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(as_float, logits, atol=1e-5)


def test_mlp_drops_units_and_bounds_their_weights(tmp_path):
    model = build("mlp", widths=(6, 4), dropout=(0.1, 0.0, 0.5), max_norm=0.25)
    kinds = [type(layer).__name__ for layer in model.layers[3:]]
    assert kinds == ["Dropout", "Dense", "Dense", "Dropout", "Dense"]
    rates = [x.rate for x in model.layers if hasattr(x, "rate")]
    assert rates == [0.1, 0.5]
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    model.fit(pictures(), np.arange(64) % 10, epochs=1, verbose=0)
    *hidden, logits = (x.kernel for x in model.layers if hasattr(x, "kernel"))
    for kernel in hidden:
        norms = np.linalg.norm(kernel, axis=0)
        assert norms.max() <= 0.25 + 1e-6 and np.isclose(norms, 0.25).any()
    assert np.linalg.norm(logits, axis=0).max() > 0.25
    # The file needs nothing of this package.
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert b"kd_keras" not in archive.read("config.json")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet8", {"widths": (8,)}, r"resnet8 takes no widths"),
        ("cnn", {"dropout": (0.5,)}, r"cnn takes no dropout.*\(0.5,\)"),
        ("MobileNetV2", {"max_norm": 2.0}, "takes no max_norm. Received"),
        ("mlp", {"dropout": (0.5,)}, "of 2 widths takes 3 rates"),
    ],
)
def test_options_that_a_network_does_not_take_are_refused(
    name, options, message
):
    with pytest.raises(ValueError, match=message):
        build(name, **options)


@pytest.mark.parametrize("name", ["resnet8", "cnn", "airbench"])
def test_batch_norm_is_synchronized(name):
    norms = [
        layer
        for layer in build(name).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert norms and all(layer.synchronized for layer in norms)


def test_the_input_is_normalised_by_the_training_set():
    images = pictures(count=500)
    model = networks.build_model(
        "cnn", image_shape=CIFAR, num_classes=10, images=images
    )
    normalised = np.asarray(model.get_layer("normalise")(images))
    np.testing.assert_allclose(normalised.mean((0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(normalised.std((0, 1, 2)), 1, atol=1e-3)


def test_a_constant_channel_is_no_division_by_zero():
    images = np.zeros((4, 8, 8, 3), np.uint8)
    model = networks.build_model(
        "cnn", image_shape=(8, 8, 3), num_classes=2, images=images
    )
    np.testing.assert_array_equal(model.get_layer("normalise")(images), 0)


def test_the_constants_are_saved_without_custom_objects(tmp_path):
    images = pictures(count=16, seed=2)
    model = build("airbench", widths=(8, 8, 8))
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        reloaded.predict(images, verbose=0), model.predict(images, verbose=0)
    )
    assert not reloaded.get_layer("whitening").trainable


def test_airbench_starts_whitened_and_as_the_identity():
    images = pictures(count=500)
    model = networks.build_model(
        "airbench",
        image_shape=CIFAR,
        num_classes=10,
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


def test_any_keras_application_with_a_resize_where_it_needs_one():
    model = build("MobileNetV3Small", shape=(28, 28, 3), num_classes=4)
    assert model.output_shape == (None, 4)
    images = pictures(count=2, shape=(28, 28, 3))
    logits = model.predict(images, verbose=0)
    assert np.abs(logits.sum(-1) - 1).max() > 1e-3


def own_network(*, image_shape, num_classes, widths=(3,)):
    inputs = keras.Input(image_shape)
    x = keras.layers.Flatten()(inputs)
    for width in widths:
        x = keras.layers.Dense(width)(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x))


def probabilities_of_two(*, image_shape, num_classes):
    return own_network(image_shape=image_shape, num_classes=2)


def test_a_function_of_the_user_s_own():
    model = build(f"{__name__}:own_network", widths=(5, 6))
    assert [layer.units for layer in model.layers[2:]] == [5, 6, 10]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet18", {}, "Did you mean 'resnet"),
        ("no_module:f", {}, "No module named 'no_module'"),
        (f"{__name__}:nothing", {}, "no attribute 'nothing'"),
        (f"{__name__}:probabilities_of_two", {}, r"Received: \(None, 2\)"),
        ("resnet8", {"widths": (3,)}, "takes no widths"),
        ("airbench", {"widths": (3,)}, "three widths"),
    ],
)
def test_what_cannot_be_built_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, **options)

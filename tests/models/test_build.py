"""Networks by name: outputs, options, user functions and refusals."""

import built
import keras
import numpy as np
import pytest

from kd_keras.models import networks

DEEP = ("airbench", "resnet12", "resnet18", "resnet20")


@pytest.mark.parametrize(
    "name",
    [
        # The deep ones take a second each.
        pytest.param(name, marks=[pytest.mark.slow] * (name in DEEP))
        for name in networks.MODELS
    ],
)
def test_every_network_takes_images_and_returns_logits(name):
    shape = (28, 28, 1) if "cnn" in name else built.CIFAR
    model = built.network(name, shape=shape, num_classes=7)
    images = built.make_images(count=16, shape=shape, seed=1)
    logits = model.predict(images, verbose=0)
    assert logits.shape == (16, 7) and logits.dtype == np.float32
    # Logits, not probabilities, and they depend on the image.
    assert (logits < 0).any() and np.abs(logits.sum(-1) - 1).max() > 1e-2
    assert logits.std(axis=0).min() > 0
    # uint8 and float32 images are the same images.
    as_float = model.predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(as_float, logits, atol=1e-5)


@pytest.mark.slow
def test_small_images_are_resized_for_a_keras_application():
    model = built.network("MobileNetV3Small", shape=(28, 28, 3), num_classes=4)
    assert model.output_shape == (None, 4)
    images = built.make_images(count=2, shape=(28, 28, 3))
    logits = model.predict(images, verbose=0)
    assert np.abs(logits.sum(-1) - 1).max() > 1e-3


def own_network(*, image_shape, num_classes, widths=(3,)):
    inputs = keras.Input(image_shape)
    x = keras.layers.Flatten()(inputs)
    for width in widths:
        x = keras.layers.Dense(width)(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x))


def resnet_of_these_images(*, image_shape, num_classes, images):
    return networks.MODELS["resnet8"](
        image_shape=image_shape, num_classes=num_classes, images=images
    )


def probabilities_of_two(*, image_shape, num_classes):
    return own_network(image_shape=image_shape, num_classes=2)


def network_of_other_images(*, image_shape, num_classes):
    return own_network(image_shape=(9, 9, 3), num_classes=num_classes)


def broken_network(*, image_shape, num_classes):
    raise RuntimeError("no layers")


def no_network(*, image_shape, num_classes):
    return None


def test_a_user_function_is_called_with_the_given_options():
    model = built.network(f"{__name__}:own_network", widths=(5, 6))
    assert [layer.units for layer in model.layers[2:]] == [5, 6, 10]


def test_a_user_function_that_takes_images_gets_the_training_images():
    model = built.network(f"{__name__}:resnet_of_these_images")
    expected = built.network("resnet8").get_layer("normalise").mean
    np.testing.assert_array_equal(model.get_layer("normalise").mean, expected)


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
        built.network(name, **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet17", {}, "Did you mean 'resnet"),
        ("no_module:f", {}, "No module named 'no_module'"),
        ("..no_module:f", {}, "Received an error: TypeError: "),
        ("os:system", {}, "must be a function of image_shape, num_classes. "),
        ("math:pi", {}, "must name a function. Received: 3.14"),
        (f"{__name__}:broken_network", {}, "RuntimeError: no layers"),
        (
            f"{__name__}:network_of_other_images",
            {},
            r"input of \(None, 9, 9, 3",
        ),
        (f"{__name__}:no_network", {}, "return a keras.Model.*None"),
        (f"{__name__}:nothing", {}, "no attribute 'nothing'"),
        (f"{__name__}:probabilities_of_two", {}, r"Received: \(None, 2\)"),
        ("resnet8", {"widths": (3,)}, "takes no widths"),
        ("airbench", {"widths": (3,)}, "three widths"),
        ("resnet18", {"widths": (3,)}, "four widths"),
    ],
)
def test_unknown_names_and_wrong_results_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        built.network(name, **options)

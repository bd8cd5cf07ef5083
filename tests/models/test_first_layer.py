"""The range of images that a network takes, from its first layer."""

import keras
import nets
import numpy as np
import pytest
import subclassed

from kd_keras.models import build, first_layer, image_spec


def network(*layers):
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            *layers,
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


def preprocessing(mode, inner=None):
    """A network that calls `preprocess_input` of `keras.applications`."""
    inputs = keras.Input((6, 6, 3))
    scaled = keras.applications.imagenet_utils.preprocess_input(
        inputs, mode=mode
    )
    return keras.Model(inputs, (inner or network())(scaled))


def augmenting():
    """A network that makes white images where no `training` is given."""
    inputs = keras.Input((6, 6, 3))
    white = keras.layers.RandomBrightness((1.0, 1.0))
    inner = keras.Model(inputs, white(inputs, training=True))
    scaled = keras.layers.Rescaling(1 / 255)(inner(inputs, training=True))
    return keras.Model(inputs, network()(scaled))


@pytest.mark.parametrize(
    "make",
    [
        nets.make_network,
        augmenting,
        lambda: network(keras.layers.Rescaling(1 / 127.5, -1)),
        lambda: network(network(keras.layers.Rescaling(1 / 255))),
        lambda: network(keras.layers.Normalization(mean=120, variance=3600)),
        lambda: network(
            keras.layers.RandomFlip(), keras.layers.Rescaling(1 / 255)
        ),
        lambda: preprocessing("tf"),
        lambda: preprocessing("torch"),
        lambda: preprocessing("caffe"),
    ],
)
def test_networks_that_rescale_bytes_are_known(make):
    assert first_layer.expected_images(make()) == image_spec.UINT8


@pytest.mark.parametrize(
    "make",
    [
        network,
        lambda: network(keras.layers.Rescaling(2.0)),
        lambda: network(keras.layers.Normalization()),
        lambda: network(keras.layers.Normalization(mean=0.4, variance=0.1)),
        lambda: network(keras.layers.Normalization(mean=-400, variance=1e5)),
        # A later layer does not scale the images.
        lambda: network(keras.layers.Dense(3), keras.layers.Rescaling(1 / 255)),
        # It may scale its images before its layers.
        lambda: subclassed.Doubled(
            keras.layers.Rescaling(1 / 255), keras.layers.Dense(3)
        ),
        # Scaled twice by mistake.
        lambda: preprocessing("tf", network(keras.layers.Rescaling(1 / 255))),
    ],
)
def test_nothing_is_said_of_other_networks(make):
    assert first_layer.expected_images(make()) is None


def test_a_network_of_one_s_own_must_take_the_data_s_range():
    images = np.random.default_rng(0).random((20, 8, 8, 1)).astype("float32")
    options = {"image_shape": (8, 8, 1), "num_classes": 5}
    with pytest.raises(ValueError, match="first layer of.*float32 from"):
        build.build_model(f"{__name__}:rescaling", images=images, **options)
    build.build_model(
        f"{__name__}:rescaling",
        images=(255 * images).astype("uint8"),
        **options,
    )


def rescaling(image_shape, num_classes):
    return nets.make_network(num_classes=num_classes)

"""Networks of `keras.applications`, without pretrained weights."""

import functools

import keras

from kd_keras.models.networks import common

# Networks that scale images from 0 to 255 themselves.
_SELF_NORMALISING = ("EfficientNet", "MobileNetV3", "ConvNeXt")
_MINIMUM_SIZES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}


def names():
    """Names in `keras.applications`, of networks and of other things."""
    return dir(keras.applications)


def find(name):
    """Finds the function that builds an application.

    Args:
        name: str, such as `MobileNetV2`.

    Returns:
        Function of `image_shape`, `num_classes` and `images`, or None if
        there is no such network.
    """
    if not isinstance(getattr(keras.applications, name, None), type(find)):
        return None
    return functools.partial(_build, name)


def _build(name, *, image_shape, num_classes, images):
    inputs, x = common.normalised_input(image_shape, images)
    if name.startswith(_SELF_NORMALISING):
        x = common.from_0_to_255(inputs, images)
    minimum = _MINIMUM_SIZES.get(name, 32)
    height, width = (max(size, minimum) for size in image_shape[:2])
    if (height, width) != tuple(image_shape[:2]):
        x = keras.layers.Resizing(height, width)(x)
    backbone = getattr(keras.applications, name)(
        weights=None,
        classes=num_classes,
        input_shape=(height, width, image_shape[-1]),
        classifier_activation=None,
    )
    return keras.Model(inputs, backbone(x), name=name.lower())

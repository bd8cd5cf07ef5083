"""Residual network for photos."""

import keras

from kd_keras.models.networks import common


def resnet18(*, image_shape, num_classes, images, widths=(64, 128, 256, 512)):
    """ResNet-18, for images of 64 to 224 pixels.

    A stem divides height and width by 4; two blocks of each width follow, and
    halve them again from the second width on. Half the widths are a quarter
    of the parameters and of the multiply-accumulates.

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385), table 1
    """
    if len(widths) != 4:
        raise ValueError(f"resnet18 takes four widths. Received: {widths}")
    inputs, x = common.normalised_input(image_shape, images)
    x = keras.layers.ReLU()(_convolve(x, widths[0], size=7, strides=2))
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for stage, filters in enumerate(widths):
        x = _block(x, filters, strides=2 if stage else 1)
        x = _block(x, filters, strides=1)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return common.classifier("resnet18", inputs, x, num_classes)


def _block(x, filters, *, strides):
    shortcut = x
    x = keras.layers.ReLU()(_convolve(x, filters, strides=strides))
    x = _convolve(x, filters)
    if strides != 1:
        shortcut = _convolve(shortcut, filters, size=1, strides=strides)
    return keras.layers.ReLU()(keras.layers.Add()([x, shortcut]))


def _convolve(x, filters, *, size=3, strides=1):
    """A convolution and its BatchNorm."""
    x = keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
    )(x)
    return common.batch_norm()(x)

"""Residual networks for small images."""

import keras

from kd_keras.models.networks import common


def resnet8(*, image_shape, num_classes, images):
    """ResNet-8 of MLPerf Tiny: 78,666 parameters on CIFAR-10.

    Reference:
        - [Banbury et al., 2021](https://arxiv.org/abs/2106.07597)
    """
    return _resnet("resnet8", image_shape, num_classes, images, blocks=1)


def resnet20(*, image_shape, num_classes, images):
    """ResNet-20 for small images: 0.27 M parameters on CIFAR-10.

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385), section 4.2
    """
    return _resnet("resnet20", image_shape, num_classes, images, blocks=3)


def _resnet(name, image_shape, num_classes, images, *, blocks):
    inputs, x = common.normalised_input(image_shape, images)

    def convolve(x, filters, size=3, strides=1):
        return keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            kernel_initializer="he_normal",
        )(x)

    x = keras.layers.ReLU()(common.batch_norm()(convolve(x, 16)))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            shortcut = x
            x = keras.layers.ReLU()(
                common.batch_norm()(convolve(x, filters, strides=strides))
            )
            x = common.batch_norm()(convolve(x, filters))
            if strides != 1:
                shortcut = convolve(shortcut, filters, 1, strides)
            x = keras.layers.ReLU()(keras.layers.Add()([x, shortcut]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return common.classifier(name, inputs, x, num_classes)

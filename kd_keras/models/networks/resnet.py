"""Residual networks for small images."""

import keras

from kd_keras.models.networks import common


def resnet8(*, image_shape, num_classes, images):
    """ResNet-8 of MLPerf Tiny: 78,666 parameters on CIFAR-10.

    Reference:
        - [Banbury et al., 2021](https://arxiv.org/abs/2106.07597)
    """
    stages = ((16, 1), (32, 1), (64, 1))
    return _resnet("resnet8", image_shape, num_classes, images, stages)


def resnet12(*, image_shape, num_classes, images):
    """A residual network of 0.3 M parameters and 20 M MACs on CIFAR-10.

    A shortcut takes the mean over 2 x 2 places before its convolution, as in
    ResNet-D.

    Reference:
        - [He et al., 2018](https://arxiv.org/abs/1812.01187), figure 2 (c)
    """
    stages = ((16, 1), (32, 1), (64, 2), (96, 1))
    return _resnet(
        "resnet12", image_shape, num_classes, images, stages, pool=True
    )


def resnet20(*, image_shape, num_classes, images):
    """ResNet-20 for small images: 0.27 M parameters on CIFAR-10.

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385), section 4.2
    """
    stages = ((16, 3), (32, 3), (64, 3))
    return _resnet("resnet20", image_shape, num_classes, images, stages)


def _resnet(name, image_shape, num_classes, images, stages, *, pool=False):
    """`stages` are pairs of filters and blocks."""
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
    for stage, (filters, blocks) in enumerate(stages):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            shortcut = x
            x = keras.layers.ReLU()(
                common.batch_norm()(convolve(x, filters, strides=strides))
            )
            x = common.batch_norm()(convolve(x, filters))
            if strides != 1:
                if pool:
                    shortcut = keras.layers.AveragePooling2D(2)(shortcut)
                    strides = 1
                shortcut = convolve(shortcut, filters, 1, strides)
            x = keras.layers.ReLU()(keras.layers.Add()([x, shortcut]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return common.classifier(name, inputs, x, num_classes)

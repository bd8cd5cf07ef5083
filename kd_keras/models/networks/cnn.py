"""Small convolutional networks."""

import keras

from kd_keras.models.networks import common


def cnn(*, image_shape, num_classes, images, widths=(32, 64)):
    """conv3x3 - BatchNorm - ReLU - maxpool for each width, then one layer."""
    inputs, x = common.normalised_input(image_shape, images)
    for width in widths:
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = common.batch_norm()(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    return common.classifier("cnn", inputs, x, num_classes)


def cnn_tiny(*, image_shape, num_classes, images, widths=(8, 16)):
    """`cnn` for a microcontroller: 9,234 parameters on MNIST."""
    return cnn(
        image_shape=image_shape,
        num_classes=num_classes,
        images=images,
        widths=widths,
    )

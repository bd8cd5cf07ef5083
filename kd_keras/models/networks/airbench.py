"""Whitened convolutional network of the CIFAR-10 speed records."""

import keras
import numpy as np

from kd_keras.models.networks import common


def airbench(*, image_shape, num_classes, images, widths=(64, 256, 256)):
    """Whitened convolutional network that trains fast on CIFAR-10.

    Its first layer is the frozen whitening transform of the 2x2 patches of
    `images`; the convolutions start as the identity on their first channels.

    Reference:
        - [Jordan, 2024](https://arxiv.org/abs/2404.00498)
    """
    if len(widths) != 3:
        raise ValueError(f"airbench takes three widths. Received: {widths}")
    inputs, x = common.normalised_input(image_shape, images)
    normalise = keras.Model(inputs, x)
    whitening = keras.layers.Conv2D(
        2 * 4 * image_shape[-1], 2, padding="valid", name="whitening"
    )
    whitening.trainable = False
    x = keras.layers.Activation("silu")(whitening(x))
    convolutions = []
    for width in widths:
        first, second = _convolution(width), _convolution(width)
        convolutions += [first, second]
        x = keras.layers.MaxPooling2D()(first(x))
        x = _normalise_and_activate(x)
        x = _normalise_and_activate(second(x))
    x = keras.layers.GlobalMaxPooling2D()(x)
    x = keras.layers.Dense(
        num_classes,
        use_bias=False,
        kernel_initializer=_fan_in_uniform(),
        dtype="float32",
    )(x)
    # The small last scale keeps the first steps at a high learning rate sane.
    outputs = keras.layers.Rescaling(1 / 9, name="logits", dtype="float32")(x)
    model = keras.Model(inputs, outputs, name="airbench")

    whitening.set_weights(
        _whitening_weights(
            normalise(part).numpy() for part in common.in_parts(images)
        )
    )
    for layer in convolutions:
        _start_as_identity(layer)
    return model


def _convolution(filters):
    return keras.layers.Conv2D(
        filters,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer=_fan_in_uniform(),
    )


def _normalise_and_activate(x):
    x = common.batch_norm(epsilon=1e-5, scale=False)(x)
    return keras.layers.Activation("silu")(x)


def _fan_in_uniform():
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def _start_as_identity(layer):
    kernel = layer.kernel.numpy()
    for channel in range(min(kernel.shape[2:])):
        kernel[:, :, :, channel] = 0
        kernel[1, 1, channel, channel] = 1
    layer.kernel.assign(kernel)


def _whitening_weights(parts):
    """Kernel and bias that decorrelate the 2x2 patches of images.

    Args:
        parts: iterable of float32 arrays `(n, height, width, channels)`.
    """
    products, count = 0.0, 0
    for images in parts:
        patches = np.lib.stride_tricks.sliding_window_view(
            images, (2, 2), axis=(1, 2)
        )  # (n, h - 1, w - 1, channels, 2, 2)
        channels = images.shape[-1]
        patches = patches.reshape(-1, channels * 4).astype("float64")
        products += patches.T @ patches
        count += len(patches)
    eigenvalues, eigenvectors = np.linalg.eigh(products / count)
    filters = eigenvectors / np.sqrt(eigenvalues + 5e-4)
    kernel = filters.reshape(channels, 2, 2, -1).transpose(1, 2, 0, 3)
    return [np.concatenate([kernel, -kernel], -1), np.zeros(8 * channels)]

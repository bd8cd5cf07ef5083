"""Architectures. Each takes pictures from 0 to 255 and returns logits.

Every model normalises its own input with the constants of its training set,
so teacher and student may want different preprocessing and what is exported
is right by construction. Only layers that come with Keras are used, so the
`.keras` files load without this package; BatchNorm is synchronized, since
unsynchronized moving statistics drift apart between replicas.
"""

import difflib
import importlib
import inspect

import keras
import numpy as np
import tensorflow as tf

# Pictures from which the normalisation (and airbench's whitening) is set.
STATISTICS_EXAMPLES = 5000

# keras.applications that carry their own input scaling for 0 to 255.
_SELF_NORMALISING = ("EfficientNet", "MobileNetV3", "ConvNeXt")
_MINIMUM_SIZES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}


def build_model(
    name,
    *,
    image_shape,
    num_classes,
    images,
    widths=(),
    dropout=(),
    max_norm=0.0,
):
    """Builds a classifier by name.

    Args:
        name: a key of `MODELS`, a `keras.applications` class name, or
            `module:function` of your own. Such a function is called with
            `image_shape` and `num_classes` (and what is given of the
            following three) and returns a Keras model that takes pictures
            from 0 to 255 and ends in logits.
        image_shape: `(height, width, channels)`.
        num_classes: int, the number of logits.
        images: uint8 array `(n, height, width, channels)` of training
            pictures, from which the input constants are set.
        widths: tuple of ints, filters or units of each group of layers;
            empty for the architecture's own.
        dropout: tuple of floats, rates of dropout; empty for none.
        max_norm: float, largest norm of a hidden unit's incoming weights;
            0 for any.

    Returns:
        A built `keras.Model`, `(batch, *image_shape)` -> float32 logits
        `(batch, num_classes)`.

    Raises:
        ValueError: if the name is unknown, the architecture does not take
            one of the options, or the result is not `(batch, num_classes)`.
    """
    options = {
        "widths": tuple(widths),
        "dropout": tuple(dropout),
        "max_norm": max_norm,
    }
    options = {key: value for key, value in options.items() if value}
    if ":" in name:
        model = _user_function(name)(
            image_shape=image_shape, num_classes=num_classes, **options
        )
    elif name in MODELS:
        _check_options(name, options, inspect.signature(MODELS[name]))
        model = MODELS[name](
            image_shape=image_shape,
            num_classes=num_classes,
            images=images[:STATISTICS_EXAMPLES],
            **options,
        )
    elif isinstance(getattr(keras.applications, name, None), type(keras.Input)):
        _check_options(name, options, inspect.signature(_application))
        model = _application(name, image_shape, num_classes, images)
    else:
        close = difflib.get_close_matches(
            name, [*MODELS, *dir(keras.applications)], n=1
        )
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"model must be one of {', '.join(MODELS)}, a keras.applications "
            f"name, or module:function. Received: {name!r}.{hint}"
        )
    if tuple(model.output_shape) != (None, num_classes):
        raise ValueError(
            f"model {name!r} must return logits of shape (None, {num_classes})"
            f". Received: {model.output_shape}"
        )
    return model


def count_macs(model):
    """Multiply-accumulates of one forward pass of one example.

    Counts convolutions and matrix products, as the literature does, from the
    traced graph, so it holds for any Keras model.
    """
    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    graph = (
        tf.function(lambda images: model(images, training=False))
        .get_concrete_function(spec)
        .graph
    )
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    profile = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
    products = ("Conv", "DepthwiseConv", "MatMul", "BatchMatMul", "Einsum")
    flops = 0
    while profile.children:
        profile = profile.children[0]
        if profile.name.startswith(products):
            flops += profile.float_ops
    return flops // 2


def mlp(
    *,
    image_shape,
    num_classes,
    images,
    widths=(800, 800),
    dropout=(),
    max_norm=0.0,
):
    """Fully connected ReLU network; the paper's MNIST student by default.

    `dropout` has a rate for what enters each dense layer, pictures first;
    `max_norm` bounds the weights that enter a hidden unit.

    Reference:
        - [Srivastava et al., 2014](
          https://jmlr.org/papers/v15/srivastava14a.html), section 5.1
    """
    rates = dropout or (0.0,) * (len(widths) + 1)
    if len(rates) != len(widths) + 1:
        raise ValueError(
            f"mlp of {len(widths)} widths takes {len(widths) + 1} rates of "
            f"dropout. Received: dropout={dropout}"
        )

    def drop(x, rate):
        return keras.layers.Dropout(rate)(x) if rate else x

    inputs, x = _normalised_input(image_shape, images)
    x = keras.layers.Flatten()(x)
    for width, rate in zip(widths, rates):
        x = keras.layers.Dense(
            width,
            activation="relu",
            kernel_constraint=keras.constraints.MaxNorm(max_norm)
            if max_norm
            else None,
        )(drop(x, rate))
    return _classifier("mlp", inputs, drop(x, rates[-1]), num_classes)


def cnn(*, image_shape, num_classes, images, widths=(32, 64)):
    """conv3x3 - BatchNorm - ReLU - maxpool for each width, then one layer."""
    inputs, x = _normalised_input(image_shape, images)
    for width in widths:
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = _batch_norm()(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    return _classifier("cnn", inputs, x, num_classes)


def cnn_tiny(*, image_shape, num_classes, images, widths=(8, 16)):
    """`cnn` for a microcontroller: 9,234 parameters on MNIST."""
    return cnn(
        image_shape=image_shape,
        num_classes=num_classes,
        images=images,
        widths=widths,
    )


def resnet8(*, image_shape, num_classes, images):
    """ResNet-8 of MLPerf Tiny: 78,666 parameters on CIFAR-10.

    Reference:
        - [Banbury et al., 2021](https://arxiv.org/abs/2106.07597)
    """
    return _cifar_resnet("resnet8", image_shape, num_classes, images, blocks=1)


def resnet20(*, image_shape, num_classes, images):
    """ResNet-20 for small pictures: 0.27 M parameters on CIFAR-10.

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385), section 4.2
    """
    return _cifar_resnet("resnet20", image_shape, num_classes, images, blocks=3)


def airbench(*, image_shape, num_classes, images, widths=(64, 256, 256)):
    """Whitened convolutional network that trains fast on CIFAR-10.

    Its first layer is the frozen whitening transform of the 2x2 patches of
    `images`; the convolutions start as the identity on their first channels.

    Reference:
        - [Jordan, 2024](https://arxiv.org/abs/2404.00498)
    """
    if len(widths) != 3:
        raise ValueError(f"airbench takes three widths. Received: {widths}")
    inputs, x = _normalised_input(image_shape, images)
    normalise = keras.Model(inputs, x)
    whitening = keras.layers.Conv2D(
        2 * 4 * image_shape[-1], 2, padding="valid", name="whitening"
    )
    whitening.trainable = False
    x = keras.layers.Activation("silu")(whitening(x))
    convolutions = []

    def normalise_and_activate(x):
        x = _batch_norm(epsilon=1e-5, scale=False)(x)
        return keras.layers.Activation("silu")(x)

    def convolve(x, filters):
        layer = keras.layers.Conv2D(
            filters,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer=_fan_in_uniform(),
        )
        convolutions.append(layer)
        return layer(x)

    for width in widths:
        x = keras.layers.MaxPooling2D()(convolve(x, width))
        x = normalise_and_activate(x)
        x = normalise_and_activate(convolve(x, width))
    x = keras.layers.GlobalMaxPooling2D()(x)
    # The small last scale keeps the first steps at a high learning rate sane.
    x = keras.layers.Dense(
        num_classes,
        use_bias=False,
        kernel_initializer=_fan_in_uniform(),
        dtype="float32",
    )(x)
    outputs = keras.layers.Rescaling(1 / 9, name="logits", dtype="float32")(x)
    model = keras.Model(inputs, outputs, name="airbench")

    whitening.set_weights(_whitening_weights(normalise(images).numpy()))
    for layer in convolutions:
        kernel = layer.kernel.numpy()
        for channel in range(min(kernel.shape[2:])):
            kernel[:, :, :, channel] = 0
            kernel[1, 1, channel, channel] = 1
        layer.kernel.assign(kernel)
    return model


MODELS = {
    "mlp": mlp,
    "cnn": cnn,
    "cnn_tiny": cnn_tiny,
    "resnet8": resnet8,
    "resnet20": resnet20,
    "airbench": airbench,
}


def _check_options(name, options, signature):
    """Refuses what an architecture does not take."""
    for option, value in options.items():
        if option not in signature.parameters:
            raise ValueError(
                f"{name} takes no {option}. Received: {option}={value}"
            )


def _normalised_input(image_shape, images):
    inputs = keras.Input(image_shape, name="images")
    pixels = images.reshape(-1, image_shape[-1]).astype("float64")
    # A channel that never varies (all black, say) must not divide by zero.
    variance = np.maximum(pixels.var(axis=0), 1.0)
    normalise = keras.layers.Normalization(
        mean=pixels.mean(axis=0).tolist(),
        variance=variance.tolist(),
        dtype="float32",
        name="normalise",
    )
    return inputs, normalise(inputs)


def _classifier(name, inputs, features, num_classes):
    # float32 under mixed precision too: the loss is taken from these.
    logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")
    return keras.Model(inputs, logits(features), name=name)


def _batch_norm(**options):
    return keras.layers.BatchNormalization(
        momentum=0.9, synchronized=True, **options
    )


def _fan_in_uniform():
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def _whitening_weights(images):
    """Kernel and bias that decorrelate the 2x2 patches of `images`."""
    channels = images.shape[-1]
    patches = np.lib.stride_tricks.sliding_window_view(
        images, (2, 2), axis=(1, 2)
    )  # (n, h - 1, w - 1, channels, 2, 2)
    patches = patches.reshape(-1, channels * 4).astype("float64")
    covariance = patches.T @ patches / len(patches)
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    filters = eigenvectors / np.sqrt(eigenvalues + 5e-4)
    kernel = filters.reshape(channels, 2, 2, -1).transpose(1, 2, 0, 3)
    return [np.concatenate([kernel, -kernel], -1), np.zeros(8 * channels)]


def _cifar_resnet(name, image_shape, num_classes, images, *, blocks):
    inputs, x = _normalised_input(image_shape, images)

    def convolve(x, filters, size=3, strides=1):
        return keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            kernel_initializer="he_normal",
        )(x)

    x = keras.layers.ReLU()(_batch_norm()(convolve(x, 16)))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            shortcut = x
            x = keras.layers.ReLU()(
                _batch_norm()(convolve(x, filters, strides=strides))
            )
            x = _batch_norm()(convolve(x, filters))
            if strides != 1:
                shortcut = convolve(shortcut, filters, 1, strides)
            x = keras.layers.ReLU()(keras.layers.Add()([x, shortcut]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return _classifier(name, inputs, x, num_classes)


def _application(name, image_shape, num_classes, images):
    inputs, normalised = _normalised_input(image_shape, images)
    x = inputs if name.startswith(_SELF_NORMALISING) else normalised
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


def _user_function(name):
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"model {name!r} must name an importable module:function. "
            f"Received an error: {error}"
        ) from error

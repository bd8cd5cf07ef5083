"""Fully connected networks."""

import keras

from kd_keras.models.networks import common


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

    `dropout` has a rate for the input of each dense layer, the images first;
    `max_norm` bounds the norm of the weights into a hidden unit.

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

    inputs, x = common.normalised_input(image_shape, images)
    x = keras.layers.Flatten()(x)
    for width, rate in zip(widths, rates):
        x = keras.layers.Dense(
            width,
            activation="relu",
            kernel_constraint=keras.constraints.MaxNorm(max_norm)
            if max_norm
            else None,
        )(drop(x, rate))
    return common.classifier("mlp", inputs, drop(x, rates[-1]), num_classes)

"""Networks that train with the rounding of their int8 model.

`quantized` makes such a network of a trained one. BatchNorm is folded into
the convolution before it, as LiteRT's converter does, and normalisation of
images becomes a convolution of 1 x 1. `finished` makes a network of plain
Keras layers that computes the same as the quantized one after its training.
LiteRT's converter takes over its ranges.
"""

import math

import keras
import numpy as np

from kd_keras.models import quantized_layers
from kd_keras.utils import files, keras_internals

_layers = keras.layers
# Layers that are an activation alone.
_ACTIVE = (_layers.ReLU, _layers.Activation)
# Layers with a scale and an offset for each channel.
_AFFINE = (
    _layers.BatchNormalization,
    _layers.Normalization,
    _layers.Rescaling,
)


def quantized(network, image_range):
    """Makes a network that rounds weights and activations as int8 does.

    It computes in float32, and is trained like any other.

    Args:
        network: Functional or Sequential `keras.Model` of one input and one
            output, with trained weights, which are copied. Its layers are of
            `LAYERS`.
        image_range: `(low, high)`, smallest and largest value of images.

    Returns:
        `keras.Model` with the same layer names.

    Raises:
        ValueError: if the network has other layers, or is of another form.
    """
    with keras_internals.fresh_names():
        return _Builder(network).build(image_range)


def finished(network):
    """Converts a quantized network to plain Keras layers, after its training.

    Its kernels hold rounded values, and its activations are rounded by
    operations of Keras with constant ranges.

    Args:
        network: `keras.Model`, as `quantized` returns it.
    """
    clones = {}

    def plain(layer):
        if isinstance(layer, quantized_layers.RoundedActivations):
            low, high = float(layer.low), float(layer.high)
            return lambda x, **_: keras.quantizers.fake_quant_with_min_max_vars(
                x, low, high
            )
        if layer not in clones:
            clones[layer] = _plain_layer(layer)
        return clones[layer]

    with keras_internals.fresh_names():
        inputs = keras.Input(network.input_shape[1:], name="images")
        outputs = keras_internals.run(network, inputs, plain)
        return keras.Model(inputs, outputs, name=network.name)


def _plain_layer(layer):
    if not isinstance(layer, quantized_layers.RoundedWeights):
        return type(layer).from_config(layer.get_config())
    inner = layer.layer
    weights = [quantized_layers.rounded_kernel(inner), inner.bias]
    arrays = [np.array(value) for value in weights]
    return _with_weights(inner, arrays, layer.input.shape)


class _Builder:
    """Walks through a network's graph and builds the quantized one.

    Args:
        network: Keras model.
    """

    def __init__(self, network):
        self._network = network
        self._calls = _checked_calls(network)
        # By the identity of a tensor of the network.
        self._values = {}
        self._rounding = {}
        self._taken = set()

    def build(self, image_range):
        (old,) = self._network.inputs
        inputs = keras.Input(old.shape[1:], name="images")
        self._set(old, self.rounded(inputs, "images", fixed=image_range))
        for call in self._calls:
            if call.operation.name not in self._taken:
                LAYERS[type(call.operation)](self, call)
        (output,) = self._network.outputs
        return keras.Model(
            inputs, self._values[id(output)], name=self._network.name
        )

    def product(self, call):
        """Builds a convolution or dense layer, with the BatchNorm after it.

        The folded weights are other ones: constraints and regularizers of the
        layer's own do not apply to them.
        """
        layer = call.operation
        kernel = layer.kernel.numpy()
        axes = quantized_layers.channel_axes(layer)
        bias = np.zeros(math.prod(axes))
        if layer.bias is not None:
            bias += layer.bias.numpy()
        output = call.output
        options = {}
        follower = self._only_user(output)
        is_linear = layer.activation is keras.activations.linear
        if is_linear and follower and _is_foldable(follower.operation):
            scale, offset = _affine(follower.operation, math.prod(axes))
            kernel = kernel * scale.reshape(axes)
            bias = bias * scale + offset
            output = self._take(follower)
            options = _without_conditions(layer)
        self._product(call, layer, [kernel, bias], output, **options)

    def affine(self, call):
        """Builds a scale and an offset for each channel as a convolution."""
        layer = call.operation
        (x,) = call.inputs
        if len(x.shape) != 4 or not _is_foldable(layer):
            raise ValueError(
                "student.quantize needs each BatchNormalization, Normalization "
                "and Rescaling to follow a convolution or dense layer, or to "
                "take images, with the channels last. Received: "
                f"{layer.name} of {x.shape[1:]}"
            )
        scale, offset = _affine(layer, x.shape[-1])
        convolution = _layers.DepthwiseConv2D(1, name=layer.name)
        weights = [scale.reshape(1, 1, -1, 1), offset]
        self._product(call, convolution, weights, call.output)

    def add(self, call):
        layer = call.operation
        inputs = [self._values[id(x)] for x in call.inputs]
        self._activated(call, _copy(layer)(inputs), call.output)

    def activation(self, call):
        (x,) = call.inputs
        self._activated(
            call, self._values[id(x)], call.output, _activation(call.operation)
        )

    def average(self, call):
        """Builds an average over places, in steps of its own."""
        (x,) = call.inputs
        value = _copy(call.operation)(self._values[id(x)])
        self._activated(call, value, call.output)

    def local_average(self, call):
        """Builds an average that has the steps of its input."""
        (x,) = call.inputs
        rounding = self._rounding[id(x)]
        value = _copy(call.operation)(self._values[id(x)])
        self._set(call.output, (rounding(value, follows=False), rounding))

    def unchanged(self, call):
        """Builds a layer whose outputs are values of its inputs."""
        (x,) = call.inputs
        value = _copy(call.operation)(self._values[id(x)])
        self._set(call.output, (value, self._rounding[id(x)]))

    def _product(self, call, layer, weights, output, **options):
        (x,) = call.inputs
        shape = self._values[id(x)].shape
        inner = _with_weights(layer, weights, shape, activation=None, **options)
        wrapper = quantized_layers.RoundedWeights(
            inner, name=layer.name, dtype="float32"
        )
        value = wrapper(self._values[id(x)])
        self._activated(call, value, output, _activation(layer))

    def _activated(self, call, value, output, activation=None):
        """Adds an activation that is part of a layer or follows it."""
        follower = self._only_user(output)
        is_activation = follower and type(follower.operation) in _ACTIVE
        if activation is None and is_activation:
            activation = _activation(follower.operation)
            output = self._take(follower) if activation else output
        name = call.operation.name
        if activation is not None:
            value = activation(self, value, name)
        self._set(output, self.rounded(value, name))

    def rounded(self, value, name, fixed=None):
        """The rounded value, and the layer that rounds it."""
        rounding = quantized_layers.RoundedActivations(
            fixed, name=f"{name}_range", dtype="float32"
        )
        return rounding(value), rounding

    def _set(self, tensor, value_and_rounding):
        self._values[id(tensor)], self._rounding[id(tensor)] = (
            value_and_rounding
        )

    def _only_user(self, tensor):
        """The only call that takes a tensor, or None."""
        users = [
            call for call in self._calls for x in call.inputs if x is tensor
        ]
        is_output = any(x is tensor for x in self._network.outputs)
        return users[0] if len(users) == 1 and not is_output else None

    def _take(self, call):
        """Leaves out a layer that is part of another one now."""
        self._taken.add(call.operation.name)
        return call.output


# Builders by class of layer. Subclasses may compute something else.
LAYERS = {
    **dict.fromkeys(
        (_layers.Conv2D, _layers.DepthwiseConv2D, _layers.Dense),
        _Builder.product,
    ),
    **dict.fromkeys(_AFFINE, _Builder.affine),
    **dict.fromkeys(_ACTIVE, _Builder.activation),
    _layers.Add: _Builder.add,
    _layers.GlobalAveragePooling2D: _Builder.average,
    _layers.AveragePooling2D: _Builder.local_average,
    **dict.fromkeys(
        (
            _layers.MaxPooling2D,
            _layers.GlobalMaxPooling2D,
            _layers.Flatten,
            _layers.Reshape,
            _layers.ZeroPadding2D,
            _layers.Dropout,
        ),
        _Builder.unchanged,
    ),
}


def _checked_calls(network):
    """The calls of a network, if all of its layers are known."""
    try:
        calls = keras_internals.calls(network)
        ends = len(network.inputs), len(network.outputs)
    except (AttributeError, TypeError):
        ends = None
    if ends != (1, 1):
        raise ValueError(
            "student.quantize needs a Functional or Sequential network of one "
            "input and one output, without a call method of its own. "
            f"Received: {network.name}"
        )
    names = [call.operation.name for call in calls]
    unknown = [
        f"{x.operation.name} ({type(x.operation).__name__})"
        for x in calls
        if not _is_known(x.operation) or names.count(x.operation.name) > 1
    ]
    if unknown:
        known = ", ".join(layer.__name__ for layer in LAYERS)
        raise ValueError(
            f"student.quantize needs layers of {known}, each called once, with "
            "no activation but ReLU, ReLU6 and SiLU. Received: "
            f"{files.named(unknown)}"
        )
    return calls


def _is_known(layer):
    if type(layer) not in LAYERS or getattr(layer, "invert", False):
        return False
    linear = keras.activations.linear
    is_linear = getattr(layer, "activation", linear) is linear
    is_relu = type(layer) is _layers.ReLU
    return _activation(layer) is not None or (is_linear and not is_relu)


def _activation(layer):
    """The builder of the activation that a layer is or ends in, or None."""
    if type(layer) is not _layers.ReLU:
        return _ACTIVATIONS.get(getattr(layer, "activation", None))
    is_known = layer.max_value in (None, 6)
    if not is_known or layer.negative_slope or layer.threshold:
        return None
    return _relu(layer.max_value)


def _relu(max_value):
    def build(builder, value, name):
        return _layers.ReLU(max_value, name=f"{name}_relu", dtype="float32")(
            value
        )

    return build


def _silu(builder, value, name):
    """Builds the two operations that LiteRT's converter makes of SiLU."""
    value, _ = builder.rounded(value, f"{name}_input")
    name = f"{name}_sigmoid"
    gate = _layers.Activation("sigmoid", name=name, dtype="float32")(value)
    # LiteRT's sigmoid has steps of 1/256.
    gate, _ = builder.rounded(gate, name, fixed=(0.0, 255 / 256))
    return _layers.Multiply(name=f"{name}_product", dtype="float32")(
        [value, gate]
    )


_ACTIVATIONS = {
    keras.activations.relu: _relu(None),
    keras.activations.relu6: _relu(6),
    keras.activations.silu: _silu,
}


def _is_foldable(layer):
    if type(layer) not in _AFFINE:
        return False
    last = len(layer.input.shape) - 1
    axes = getattr(layer, "axis", last)
    axes = axes if isinstance(axes, (tuple, list)) else (axes,)
    return set(axes) <= {-1, last}


def _affine(layer, channels=1):
    """The scale and the offset of each channel: two arrays in float64."""
    if type(layer) is _layers.Rescaling:
        ones = np.ones(channels)
        return ones * layer.scale, ones * layer.offset
    if type(layer) is _layers.Normalization:
        ones = np.ones(channels)
        mean = np.array(layer.mean, "float64").reshape(-1)
        deviation = np.array(layer.variance, "float64").reshape(-1) ** 0.5
        scale = ones / np.maximum(deviation, keras.config.epsilon())
        return scale, -mean * scale
    variance = layer.moving_variance.numpy().astype("float64")
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.gamma is not None:
        scale *= layer.gamma.numpy()
    offset = -layer.moving_mean.numpy() * scale
    if layer.beta is not None:
        offset += layer.beta.numpy()
    return scale, offset


def _without_conditions(layer):
    """The options of a layer that has no constraint and no regularizer."""
    ends = ("_constraint", "_regularizer")
    return {key: None for key in layer.get_config() if key.endswith(ends)}


def _copy(layer):
    return type(layer).from_config({**layer.get_config(), "dtype": "float32"})


def _with_weights(layer, weights, shape, **options):
    """A copy of a layer in float32, with a bias and with other weights."""
    config = {**layer.get_config(), "dtype": "float32", "use_bias": True}
    copy = type(layer).from_config({**config, **options})
    copy.build(shape)
    copy.set_weights(weights)
    return copy


# Functions that make a network that trains with the rounding of its export, by
# the value of `student.quantize`.
QUANTIZERS = {"int8": quantized}

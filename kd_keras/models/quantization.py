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

from kd_keras.models import quantizable, quantized_layers
from kd_keras.utils import keras_internals

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
        `keras.Model` of the same layer names, without models among its
        layers. A name that occurs twice gets a number.

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
        self._name = network.name
        self._graph = quantizable.graph(network, LAYERS)
        # By the identity of a tensor of the network.
        self._values = {}
        self._rounding = {}
        self._taken = set()
        self._used_names = {"images"}
        # Before other names are made of them.
        self._names = {
            call.operation: self.free_name(call.operation.name)
            for call in self._graph.calls
        }

    def build(self, image_range):
        (old,), (output,) = self._graph.inputs, self._graph.outputs
        inputs = keras.Input(old.shape[1:], name="images")
        self._set(old, self.rounded(inputs, "images", fixed=image_range))
        for call in self._graph.calls:
            if call.operation not in self._taken:
                LAYERS[type(call.operation)](self, call)
        return keras.Model(inputs, self._values[id(output)], name=self._name)

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
        if is_linear and follower and _is_foldable(follower):
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
        if len(x.shape) != 4 or not _is_foldable(call):
            raise ValueError(
                "student.quantize needs each BatchNormalization, Normalization "
                "and Rescaling to follow a convolution or dense layer without "
                "an activation, or to take images or feature maps, with the "
                f"channels last. Received: {layer.name} of {x.shape[1:]}"
            )
        scale, offset = _affine(layer, x.shape[-1])
        convolution = _layers.DepthwiseConv2D(1)
        weights = [scale.reshape(1, 1, -1, 1), offset]
        self._product(call, convolution, weights, call.output)

    def add(self, call):
        inputs = [self._values[id(x)] for x in call.inputs]
        self._activated(call, self._copy(call)(inputs), call.output)

    def activation(self, call):
        (x,) = call.inputs
        self._activated(
            call, self._values[id(x)], call.output, _activation(call.operation)
        )

    def average(self, call):
        """Builds an average over places, in steps of its own."""
        (x,) = call.inputs
        value = self._copy(call)(self._values[id(x)])
        self._activated(call, value, call.output)

    def local_average(self, call):
        """Builds an average that has the steps of its input."""
        (x,) = call.inputs
        rounding = self._rounding[id(x)]
        value = self._copy(call)(self._values[id(x)])
        self._set(call.output, (rounding(value, follows=False), rounding))

    def unchanged(self, call):
        """Builds a layer whose outputs are values of its inputs."""
        (x,) = call.inputs
        value = self._copy(call)(self._values[id(x)], **call.arguments)
        self._set(call.output, (value, self._rounding[id(x)]))

    def _product(self, call, layer, weights, output, **options):
        (x,) = call.inputs
        shape = self._values[id(x)].shape
        name = self._names[call.operation]
        inner = _with_weights(
            layer, weights, shape, name=name, activation=None, **options
        )
        wrapper = quantized_layers.RoundedWeights(
            inner, name=name, dtype="float32"
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
        name = self._names[call.operation]
        if activation is not None:
            value = activation(self, value, name)
        self._set(output, self.rounded(value, name))

    def rounded(self, value, name, fixed=None):
        """The rounded value, and the layer that rounds it."""
        rounding = quantized_layers.RoundedActivations(
            fixed, name=self.free_name(f"{name}_range"), dtype="float32"
        )
        return rounding(value), rounding

    def free_name(self, name):
        """The name, or the name with a number if a layer has it."""
        free, number = name, 0
        while free in self._used_names:
            number += 1
            free = f"{name}_{number}"
        self._used_names.add(free)
        return free

    def _copy(self, call):
        layer = call.operation
        options = {"name": self._names[layer], "dtype": "float32"}
        return type(layer).from_config({**layer.get_config(), **options})

    def _set(self, tensor, value_and_rounding):
        self._values[id(tensor)], self._rounding[id(tensor)] = (
            value_and_rounding
        )

    def _only_user(self, tensor):
        """The only call that takes a tensor, or None."""
        users = [
            call
            for call in self._graph.calls
            for x in call.inputs
            if x is tensor
        ]
        is_output = any(x is tensor for x in self._graph.outputs)
        return users[0] if len(users) == 1 and not is_output else None

    def _take(self, call):
        """Leaves out a layer that is part of another one now."""
        self._taken.add(call.operation)
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


def _relu(max_value):
    def build(builder, value, name):
        name = builder.free_name(f"{name}_relu")
        return _layers.ReLU(max_value, name=name, dtype="float32")(value)

    return build


def _silu(builder, value, name):
    """Builds the two operations that LiteRT's converter makes of SiLU."""
    value, _ = builder.rounded(value, f"{name}_input")
    name = builder.free_name(f"{name}_sigmoid")
    gate = _layers.Activation("sigmoid", name=name, dtype="float32")(value)
    # LiteRT's sigmoid has steps of 1/256.
    gate, _ = builder.rounded(gate, name, fixed=(0.0, 255 / 256))
    name = builder.free_name(f"{name}_product")
    return _layers.Multiply(name=name, dtype="float32")([value, gate])


def _activation(layer):
    """The builder of the activation that a layer is or ends in, or None."""
    return _ACTIVATIONS.get(quantizable.activation(layer))


_ACTIVATIONS = {"relu": _relu(None), "relu6": _relu(6), "silu": _silu}


def _is_foldable(call):
    layer = call.operation
    if type(layer) not in _AFFINE:
        return False
    last = len(call.inputs[0].shape) - 1
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

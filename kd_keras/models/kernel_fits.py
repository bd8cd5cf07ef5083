"""Values of a network's tensors, and kernels that are fitted to them."""

import keras
import numpy as np
import tensorflow as tf

_IMAGES_AT_ONCE = 50
# Of the mean square of a kernel's inputs, against noise in directions that
# the images hardly have.
_RIDGE = 1e-3


class Values:
    """Arrays of the tensors of a network, while they are needed."""

    def __init__(self, graph, images):
        (inputs,) = graph.inputs
        self._arrays = {id(inputs): np.asarray(images, "float32")}
        self._uses = {}
        for tensor in graph.outputs:
            self._uses[id(tensor)] = 1
        for call in graph.calls:
            for tensor in call.inputs:
                self._uses[id(tensor)] = self._uses.get(id(tensor), 0) + 1

    def __getitem__(self, tensor):
        return self._arrays[id(tensor)]

    def compute(self, call):
        """Computes a call, and forgets what no later call takes."""
        arrays = [self._arrays[id(x)] for x in call.inputs]
        self._arrays[id(call.output)] = _in_parts(
            lambda *parts: call.of(parts), *arrays
        )
        for tensor in call.inputs:
            self._uses[id(tensor)] -= 1
            if not self._uses[id(tensor)]:
                del self._arrays[id(tensor)]


def product(layer, inputs):
    """What a layer computes before its activation: an array."""
    activation, layer.activation = layer.activation, keras.activations.linear
    try:
        return _in_parts(layer, inputs)
    finally:
        layer.activation = activation


def fit(layer, inputs, targets):
    """Fits kernel and bias by ridge regression.

    A convolution without bias is fitted up to a constant for each filter,
    which the BatchNorm after it takes away.

    Args:
        layer: `keras.layers.Conv2D` or `keras.layers.Dense`.
        inputs: array, as the layer takes it.
        targets: array `(..., filters)`, what it shall compute before its
            activation.
    """
    has_constant = layer.use_bias or isinstance(layer, keras.layers.Conv2D)
    squares, products = 0.0, 0.0
    for start in range(0, len(inputs), _IMAGES_AT_ONCE):
        part = slice(start, start + _IMAGES_AT_ONCE)
        rows = _kernel_inputs(layer, inputs[part])
        if has_constant:
            rows = np.pad(rows, ((0, 0), (0, 1)), constant_values=1.0)
        wanted = targets[part].reshape(len(rows), -1)
        squares += (rows.T @ rows).astype("float64")
        products += (rows.T @ wanted).astype("float64")
    size = len(squares) - has_constant
    diagonal = np.arange(size)
    ridge = _RIDGE * np.trace(squares) / len(squares)
    # Also where all inputs are 0.
    squares[diagonal, diagonal] += ridge + np.finfo("float32").tiny
    weights = np.linalg.solve(squares, products)
    layer.kernel.assign(weights[:size].reshape(layer.kernel.shape))
    if layer.use_bias:
        layer.bias.assign(weights[size])


def measure(layer, inputs):
    """Sets the averages of a `BatchNormalization` to those of its inputs."""
    axes = tuple(range(inputs.ndim - 1))
    layer.moving_mean.assign(inputs.mean(axes, dtype="float64"))
    layer.moving_variance.assign(inputs.var(axes, dtype="float64"))


def _kernel_inputs(layer, inputs):
    """The values that a kernel is multiplied by: array `(rows, size)`."""
    if isinstance(layer, keras.layers.Conv2D):
        inputs = tf.image.extract_patches(
            inputs,
            sizes=(1, *layer.kernel_size, 1),
            strides=(1, *layer.strides, 1),
            rates=(1, *layer.dilation_rate, 1),
            padding=layer.padding.upper(),
        ).numpy()
    return inputs.reshape(-1, inputs.shape[-1])


def _in_parts(function, *arrays):
    """A function of arrays, which takes some images at once."""
    starts = range(0, len(arrays[0]), _IMAGES_AT_ONCE)
    return np.concatenate(
        [
            np.asarray(
                function(*(x[start : start + _IMAGES_AT_ONCE] for x in arrays)),
                "float32",
            )
            for start in starts
        ]
    )

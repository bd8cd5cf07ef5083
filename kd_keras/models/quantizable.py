"""Whether a network can train with the rounding of its int8 model."""

import keras
import tensorflow as tf

from kd_keras.models import interface
from kd_keras.utils import files

# Names of the activations that can round.
_ACTIVATIONS = {
    keras.activations.relu: "relu",
    keras.ops.relu: "relu",
    tf.nn.relu: "relu",
    keras.activations.relu6: "relu6",
    keras.ops.relu6: "relu6",
    tf.nn.relu6: "relu6",
    keras.activations.silu: "silu",
    keras.ops.silu: "silu",
    tf.nn.silu: "silu",
}
_OPTIONS_OF_RELU = {
    "negative_slope": (0,),
    "threshold": (0,),
    "max_value": (None, 6),
}


def graph(network, kinds):
    """The graph of a network that can round.

    Args:
        network: Keras model.
        kinds: the classes of layers that can round.

    Returns:
        `keras_internals.Graph` of one input and one output.

    Raises:
        ValueError: if the network is of another form, or a layer cannot round.
    """
    found = interface.plain_graph(network, user="student.quantize")
    (inputs,) = found.inputs
    if None in inputs.shape[1:]:
        raise ValueError(
            "student.quantize needs a network whose images have a fixed size. "
            f"Received: {network.name} of {inputs.shape[1:]}"
        )
    layers = [call.operation for call in found.calls]
    refused = []
    for call in found.calls:
        layer = call.operation
        problem = _problem(call, kinds, layers.count(layer))
        if problem is not None:
            refused.append(f"{layer.name} ({type(layer).__name__}{problem})")
    if refused:
        raise ValueError(
            "student.quantize needs layers of "
            f"{', '.join(kind.__name__ for kind in kinds)}, each called once, "
            "with no constant, no mask, no dilation and no activation but "
            "ReLU, ReLU6 and SiLU; Dense takes vectors, BatchNormalization no "
            "training=True. Received: "
            f"{files.named(list(dict.fromkeys(refused)))}"
        )
    return found


def activation(layer):
    """The activation that a layer is or ends in.

    Args:
        layer: one that can round; see `graph`.

    Returns:
        str, `relu`, `relu6` or `silu`; or None.
    """
    if type(layer) is keras.layers.ReLU:
        return "relu" if layer.max_value is None else "relu6"
    return _ACTIVATIONS.get(getattr(layer, "activation", None))


def _problem(call, kinds, num_calls):
    """The reason why a layer cannot round.

    Returns:
        str that follows the name of its class: empty if that is the reason.
        None for a layer that can round.
    """
    layer = call.operation
    if num_calls > 1:
        return f", called {num_calls} times"
    if type(layer) not in kinds:
        return _replacement(call, kinds)
    if getattr(layer, "quantization_mode", None):
        return f", quantized to {layer.quantization_mode} by Keras"
    if getattr(layer, "lora_enabled", False):
        return " with LoRA"
    if type(layer) is keras.layers.Dense and len(call.inputs[0].shape) != 2:
        return f" of {call.inputs[0].shape[1:]}"
    return _refused_argument(call) or _problem_of_options(layer)


def _replacement(call, kinds):
    """As `_problem`, with the layer that does the same as an operation."""
    operation = call.operation
    if isinstance(operation, keras.Model):
        return _refused_argument(call) or ""
    if isinstance(operation, keras.layers.Layer):
        return ""
    names = {kind.__name__.lower(): kind.__name__ for kind in kinds}
    name = names.get(type(operation).__name__.lower())
    return f", an operation{f'; use keras.layers.{name}' if name else ''}"


def _refused_argument(call):
    """As `_problem`, of the arguments of a call."""
    folds = type(call.operation) is keras.layers.BatchNormalization
    # A folded BatchNormalization has its moving averages.
    flags = (False,) if folds else (False, True)
    for name, value in call.arguments.items():
        if name != "training":
            return f", called with {name}"
        if not any(value is flag for flag in flags):
            return f", called with training={value}"
    return None


def _problem_of_options(layer):
    """As `_problem`, of the options of a layer whose class can round."""
    allowed = {"invert": (False,)}
    if type(layer) is keras.layers.ReLU:
        allowed = _OPTIONS_OF_RELU
    for name, values in allowed.items():
        value = getattr(layer, name, values[0])
        if value not in values:
            return f" with {name}={value}"
    dilation = getattr(layer, "dilation_rate", 1)
    if set(keras.tree.flatten(dilation)) != {1}:
        return f" with dilation_rate={dilation}"
    function = getattr(layer, "activation", keras.activations.linear)
    if function not in (keras.activations.linear, *_ACTIVATIONS):
        name = getattr(function, "__name__", repr(function))
        return f" with activation {name}"
    return None

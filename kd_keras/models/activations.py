"""The activation that a Keras model ends in, where its layers tell it."""

import keras

from kd_keras.utils import keras_internals

# The names of layers, operations and functions that turn logits into
# probabilities, in lower case. The logarithm of softmax gives logits.
_NAMES = {
    "softmax": "softmax",
    "softmax_v2": "softmax",
    "sigmoid": "sigmoid",
    "linear": "linear",
}
# Layers that pass the values on unchanged.
_UNCHANGING = (
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Permute,
    keras.layers.Reshape,
)


def of_model(model):
    """The activation of a model's only output.

    Args:
        model: Keras model, or another function.

    Returns:
        `softmax`, `sigmoid`, `linear`, `other`, or None where it is not
        known, as for functions, subclassed models and several outputs.
    """
    if not isinstance(model, keras.Model) or keras_internals.has_own_call(
        model
    ):
        return None
    if isinstance(model, keras.Sequential):
        # It has no symbolic outputs before it is built.
        layers = [x for x in model.layers if not _passes_on(x)]
        return _of_operation(layers[-1]) if layers else None
    outputs = getattr(model, "outputs", None) or ()
    return of_tensor(outputs[0]) if len(outputs) == 1 else None


def of_tensor(output):
    """As `of_model`, for one symbolic output of a model."""
    try:
        operation = keras_internals.producer(output)
        while _passes_on(operation):
            (output,) = keras_internals.inputs_of(output)
            operation = keras_internals.producer(output)
    except (AttributeError, ValueError):
        # No symbolic tensor, or a layer of several inputs.
        return None
    return _of_operation(operation)


def check_logits(model, *, role):
    """Raises a ValueError if a model is known to end in probabilities.

    Args:
        model: Keras model.
        role: str, for the error: `student`.
    """
    activation = of_model(model)
    if activation in ("softmax", "sigmoid"):
        raise ValueError(
            f"the {role} must return logits, not probabilities. Received: "
            f"{model.name}, which ends in {activation}; leave that out "
            "(activation=None in the last layer), and apply it to predictions"
        )


def _of_operation(operation):
    if isinstance(operation, keras.Model):
        return of_model(operation)
    function = getattr(operation, "activation", operation)
    name = getattr(function, "__name__", type(function).__name__)
    is_known = type(operation).__module__.startswith("keras.")
    if isinstance(operation, keras.layers.Lambda) or not is_known:
        return None
    return _NAMES.get(name.lower(), "other")


def _passes_on(operation):
    linear = (
        isinstance(operation, keras.layers.Activation)
        and operation.activation is keras.activations.linear
    )
    return linear or isinstance(operation, _UNCHANGING)

"""Inputs and outputs of Keras models, however they are written.

A Functional or Sequential model knows its shapes. A subclassed model knows
only the shape of its first batch.
"""

import keras

from kd_keras.utils import keras_internals


def input_shape(model):
    """Shape of a model's input: a tuple whose first entry, the batch, is None.

    Args:
        model: Keras model.

    Returns:
        tuple of ints and None; a list or dict of tuples for several inputs;
        None if the model is not built.
    """
    shape = getattr(model, "input_shape", None)
    if shape is not None:
        # A single input may be in a list.
        return shape[0] if _is_list_of_one(shape) else shape
    # Subclassed models record the shape of the first batch.
    shape = (model.get_build_config() or {}).get("input_shape")
    if isinstance(shape, (list, tuple)) and not any(
        isinstance(part, (list, tuple, dict)) for part in shape
    ):
        return (None, *shape[1:])
    return shape


def output_shape(model, output=None, **options):
    """Shape of the logits among a model's outputs.

    Args:
        model: Keras model.
        output, **options: see `logits_of`.

    Returns:
        tuple of ints and None; None if the model is not built.

    Raises:
        ValueError: as `logits_of`.
    """
    found = outputs_of(model)
    if found is None:
        return None
    return tuple(logits_of(model, found, output, **options).shape)


def plain_graph(network, *, user):
    """The graph of a network of one input and one output.

    Args:
        network: Keras model.
        user: str, what needs it, for the error.

    Returns:
        `keras_internals.Graph`.

    Raises:
        ValueError: if the network is of another form.
    """
    try:
        found = keras_internals.graph(network)
        (_,), (_,) = found.inputs, found.outputs
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{user} needs a Functional or Sequential network of one input and "
            "one output, without a call method of its own. Received: "
            f"{getattr(network, 'name', network)}"
        ) from error
    return found


def outputs_of(model):
    """The symbolic outputs of a model, as a call returns them.

    Args:
        model: Keras model.

    Returns:
        a `keras.KerasTensor` or a structure of them; None if the model is
        not built, or takes several inputs and is subclassed.
    """
    outputs = getattr(model, "outputs", None)
    if outputs:
        # Functional models keep the structure of their outputs in `output`.
        structure = getattr(model, "output", None)
        return outputs if structure is None else structure
    shape = input_shape(model)
    return symbolic_call(model, shape) if isinstance(shape, tuple) else None


def num_classes(model, output=None, **options):
    """Number of logits of a model, None unless its layers tell it at once.

    Args:
        model: Keras model.
        output, **options: see `logits_of`.

    Raises:
        ValueError: as `logits_of`.
    """
    if not getattr(model, "outputs", None):
        return None
    return output_shape(model, output, **options)[-1]


def symbolic_call(model, shape):
    """The outputs of a model for a symbolic batch: no variable changes.

    Args:
        model: Keras model of one input.
        shape: tuple, the shape of a batch.
    """
    return model(keras.Input(batch_shape=shape), training=False)


def logits_of(
    model,
    outputs,
    output=None,
    *,
    default="logits",
    role="model",
    option="output",
):
    """Chooses the logits among the outputs of a call.

    Args:
        model: the Keras model, for the names of its outputs; None for other
            functions.
        outputs: a tensor, or a dict, list or tuple of tensors.
        output: str or int, the name (a key of the dict, or a Keras model's
            output layer) or the index of the logits; None for the only one,
            or the one that is named `default`.
        default: str.
        role, option: str, the caller's names of model and `output`, for
            errors.

    Raises:
        ValueError: if there is no such output, several and `output` is None,
            or something else than tensors.
    """
    named = by_name(model, outputs)
    if not named or not all(hasattr(x, "shape") for x in named.values()):
        raise ValueError(
            f"the {role} must return logits, a tensor (batch, num_classes), "
            "or a dict or list of tensors that has them. Received: "
            f"{_described(outputs)}"
        )
    if output is None and len(named) == 1:
        return next(iter(named.values()))
    if output is None and default in named:
        return named[default]
    if output in named:
        return named[output]
    index = _index(output)
    if index is not None and -len(named) <= index < len(named):
        return list(named.values())[index]
    choices = ", ".join(
        f"{name!r} {tuple(value.shape[1:])}" for name, value in named.items()
    )
    raise ValueError(
        f"{option} must be the name or index of the {role}'s output that has "
        f"the logits. Received: {option}={output!r}; the outputs are {choices}"
    )


def by_name(model, outputs):
    """The outputs as a dict by name, or by index where they have none."""
    if hasattr(outputs, "items"):
        return dict(outputs.items())
    if not isinstance(outputs, (list, tuple)):
        outputs = [outputs]
    # Named tuples have names of their own.
    names = getattr(outputs, "_fields", None)
    names = names or getattr(model, "output_names", None) or ()
    if len(names) != len(outputs) or len(set(names)) != len(names):
        names = range(len(outputs))
    return dict(zip(names, outputs))


def _index(output):
    """An int, also from text of the command line; None if it is none."""
    if isinstance(output, bool):
        return None
    if isinstance(output, int):
        return output
    try:
        return int(output) if isinstance(output, str) else None
    except ValueError:
        return None


def _described(outputs):
    if outputs is None or isinstance(outputs, (str, int, float)):
        return repr(outputs)
    if isinstance(outputs, (list, tuple, dict)):
        return f"a {type(outputs).__name__} of {len(outputs)}"
    return type(outputs).__name__


def _is_list_of_one(shape):
    return (
        isinstance(shape, list)
        and len(shape) == 1
        and isinstance(shape[0], (list, tuple))
    )

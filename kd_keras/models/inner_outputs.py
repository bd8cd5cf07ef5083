"""Inner outputs of a Keras model, from the same call as its outputs.

Layers are observed while the model is called, so that layers of nested and of
subclassed models are reached, too, and no layer runs twice.
"""

import contextlib
import functools
import threading
import typing

import keras
import tensorflow as tf

from kd_keras.models import interface
from kd_keras.utils import keras_internals, suggestions

# The name of the last pooled features, which is the same for every model.
LAST = ""
# Names that an error lists; a deep network has hundreds.
_MOST_NAMES = 40
# Each replica of a training step runs in a thread of its own.
_observers = threading.local()


class Place(typing.NamedTuple):
    """Place of an inner tensor: the input or the output of a layer.

    Attributes:
        layer: `keras.layers.Layer`.
        is_input: bool, True for its first input.
    """

    layer: keras.layers.Layer
    is_input: bool = False


class WithFeatures:
    """A Keras model, called as `model(images)` -> `(outputs, features)`.

    A plain object with the model's own layers. `outputs` are what the model
    returns, `features` a tuple of tensors `(batch, ...)` in the order of the
    names. `with_features` makes it.

    Attributes:
        shapes: list of the features' shapes without the batch, tuples of ints
            and None; None if the model's input shape is unknown.
    """

    def __init__(self, model, places):
        self._model = model
        self._places = places
        self.shapes = None

    def __call__(self, images, training=False):
        """Calls the model once.

        Args:
            images: tensor `(batch, height, width, channels)`; no
                `keras.KerasTensor`.
            training: bool.

        Raises:
            ValueError: if a layer does not run in this call, or returns
                something else than one tensor.
        """
        for place in self._places:
            if isinstance(place, Place):
                # Each time: `batch_norm.fused` replaces calls of layers.
                _observe(place.layer)
        with _recording() as calls:
            outputs = self._model(images, training=training)
        return outputs, tuple(
            _tensor(place, calls, self._model, outputs)
            for place in self._places
        )


def with_features(model, names, *, output=None, image_shape=None):
    """Makes a callable that returns inner outputs of a model with its outputs.

    Args:
        model: Keras model: Functional, Sequential or subclassed, with nested
            models or without.
        names: sequence of str; each is the name of a layer at any depth, also
            as `nested_model/layer`, or of one of several outputs, or "" for
            `last_features`.
        output: str or int, the output that has the logits; see
            `interface.logits_of`. Used by "" alone.
        image_shape: `(height, width, channels)`, for a model that does not
            know its input shape.

    Returns:
        `WithFeatures`.

    Raises:
        ValueError: if a name is none of these, or as `last_features`.
    """
    layers = _layers_by_name(model)
    found = interface.outputs_of(model)
    outputs = interface.by_name(model, found) if found is not None else {}
    places = []
    for name in names:
        if name == LAST:
            place = last_features(model, output, image_shape=image_shape)
        elif name in layers:
            place = Place(_only(layers[name], name, model))
        elif name in outputs or found is None:
            place = name
        else:
            raise ValueError(_unknown(name, model, [*layers, *outputs]))
        places.append(place)
    result = WithFeatures(model, places)
    shape = _batch_shape(model, image_shape)
    if shape is not None and places:
        _, features = _trace(result, shape)
        result.shapes = [tuple(feature.shape[1:]) for feature in features]
    return result


def last_features(model, output=None, *, image_shape=None):
    """Finds the input of the layer that computes a model's logits.

    That is the last layer with a matrix of weights, such as `Dense`, or a
    convolution of pooled features. Its input is the model's last features,
    before a dropout that is next to it. A model that ends without such a
    layer, such as a backbone, returns its last features itself.

    Args:
        model: Keras model.
        output: str or int, the output that has the logits; None for the only
            one, or the one that is named `logits`.
        image_shape: as in `with_features`.

    Returns:
        `Place`, or the name of the output as `interface.by_name` has it.

    Raises:
        ValueError: if the model does not know the shape of its images, or
            several layers compute the logits.
    """
    shape = _batch_shape(model, image_shape)
    if shape is None:
        raise ValueError(
            "a model must know the shape of its images for its last features "
            "to be found: call it on a batch first, or name a layer. "
            f"Received: {model.name}"
        )
    if not model.built:
        interface.symbolic_call(model, shape)
    for layer in keras_internals.all_layers(model):
        if _has_matrix(layer) or isinstance(layer, keras.layers.Dropout):
            _observe(layer)

    def find(images):
        with _recording() as calls:
            outputs = model(images, training=False)
        logits = interface.logits_of(model, outputs, output)
        place = _place_of_last(logits, calls, model)
        if place is not None:
            return place
        named = interface.by_name(model, outputs)
        return next(name for name in named if named[name] is logits)

    found = []
    _trace(lambda images: found.append(find(images)), shape)
    return found[0]


def _place_of_last(logits, calls, model):
    """The `Place` of the last features of a call that was traced.

    None if the last matrix is applied to maps: the model computes no logits.
    """
    matrices = {
        _reference(outputs): (layer, inputs)
        for layer, inputs, outputs in calls
        if _has_matrix(layer) and tf.is_tensor(outputs)
    }
    heads, seen, waiting = [], set(), [logits]
    while waiting:
        tensor = waiting.pop()
        if tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        if tensor.ref() in matrices:
            heads.append(matrices[tensor.ref()])
        else:
            waiting += tensor.op.inputs
    if len(heads) != 1:
        names = ", ".join(repr(layer.name) for layer, _ in heads) or "none"
        raise ValueError(
            "the last features are the input of the one layer that computes "
            f"the logits; name a layer instead. Received: {model.name} with "
            f"{names}"
        )
    ((head, features),) = heads
    if not _is_pooled(features):
        return None
    for layer, _, outputs in calls:
        # Without training, a dropout returns its input.
        is_dropout = isinstance(layer, keras.layers.Dropout)
        if is_dropout and _reference(outputs) == _reference(features):
            return Place(layer, is_input=True)
    return Place(head, is_input=True)


def _is_pooled(features):
    shape = tuple(features.shape)
    # A convolution may stand for a matrix, for maps of one position.
    return len(shape) == 2 or (len(shape) == 4 and shape[1:3] == (1, 1))


def _reference(tensor):
    return tensor.ref() if tf.is_tensor(tensor) else None


def _has_matrix(layer):
    """Whether a layer has weights of its own of two axes or more."""
    is_leaf = len(keras_internals.all_layers(layer)) == 1
    return is_leaf and any(len(w.shape) > 1 for w in layer.weights)


def _observe(layer):
    """Reports each later call of a layer to the observers of its thread."""
    call = layer.call
    if hasattr(call, "is_observed"):
        return

    @functools.wraps(call)
    def observed(*args, **kwargs):
        outputs = call(*args, **kwargs)
        inputs = args[0] if args else next(iter(kwargs.values()), None)
        for calls in getattr(_observers, "lists", ()):
            calls.append((layer, inputs, outputs))
        return outputs

    observed.is_observed = True
    layer.call = observed


@contextlib.contextmanager
def _recording():
    """A list of `(layer, inputs, outputs)` of the calls of observed layers."""
    before, calls = getattr(_observers, "lists", ()), []
    _observers.lists = (*before, calls)
    try:
        yield calls
    finally:
        _observers.lists = before


def _tensor(place, calls, model, outputs):
    """An inner tensor of a call; of the last run if a layer ran twice."""
    if not isinstance(place, Place):
        named = interface.by_name(model, outputs)
        if place not in named:
            raise ValueError(_unknown(place, model, named))
        return named[place]
    found = [call for call in calls if call[0] is place.layer]
    if not found:
        raise ValueError(
            "features must be of a layer that runs when the model predicts. "
            f"Received: {place.layer.name!r} of {model.name}"
        )
    tensor = found[-1][1 if place.is_input else 2]
    if not tf.is_tensor(tensor):
        raise ValueError(
            "features must be of a layer that returns one tensor. Received: "
            f"{place.layer.name!r} of {model.name}, a {type(tensor).__name__}"
        )
    return tensor


def _trace(function, shape):
    """The symbolic result of a function of images; nothing is computed."""
    traced = tf.function(function, autograph=False).get_concrete_function(
        tf.TensorSpec(shape, keras.config.floatx())
    )
    return traced.structured_outputs


def _batch_shape(model, image_shape):
    if image_shape is not None:
        return (None, *image_shape)
    shape = interface.input_shape(model)
    return shape if isinstance(shape, tuple) else None


def _layers_by_name(model):
    """Lists of the layers of a model and of the models in it, by name.

    Layers of nested models also have names such as `backbone/convolution`.
    """
    layers = {}
    for layer in keras_internals.all_layers(model)[1:]:
        if not isinstance(layer, keras.layers.InputLayer):
            layers.setdefault(layer.name, []).append(layer)
        if isinstance(layer, keras.Model):
            for inner in keras_internals.all_layers(layer)[1:]:
                path = f"{layer.name}/{inner.name}"
                layers.setdefault(path, []).append(inner)
    return layers


def _only(layers, name, model):
    if len(layers) > 1:
        raise ValueError(
            "features must be named by a name that one layer has, or by "
            f"'nested_model/layer'. Received: {name!r}, which {len(layers)} "
            f"layers of {model.name} have"
        )
    return layers[0]


def _unknown(name, model, names):
    names = [str(known) for known in dict.fromkeys(names)]
    names = [known for known in names if "/" not in known]
    listed = ", ".join(names[-_MOST_NAMES:])
    if len(names) > _MOST_NAMES:
        listed = f"{listed} (the last {_MOST_NAMES} of {len(names)})"
    return (
        "features must be names of layers or outputs, or '' for the last "
        f"features. Received: {name!r}."
        f"{suggestions.did_you_mean(name, names)} {model.name} has {listed}"
    )

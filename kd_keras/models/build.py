"""Builds classifiers by name."""

import inspect

import keras

from kd_keras.models import (
    activations,
    applications,
    first_layer,
    image_spec,
    interface,
    resizing,
)
from kd_keras.models.networks import MODELS
from kd_keras.utils import keras_internals, source_code, suggestions

# Images that the constants of the input are computed from.
STATISTICS_EXAMPLES = 5000


def build_model(
    name,
    *,
    image_shape,
    num_classes,
    images,
    widths=(),
    dropout=(),
    max_norm=0.0,
    image_size=0,
):
    """Builds a classifier by name.

    Args:
        name: a key of `networks.MODELS`, a `keras.applications` class name,
            or `module:function` of your own. Such a function is called with
            `image_shape` and `num_classes`, with `images` if it takes them,
            and with `widths`, `dropout` and `max_norm` if given. It returns a
            Keras model that takes images of the data's range and ends in
            logits.
        image_shape: `(height, width, channels)` of the images.
        num_classes: int, the number of logits.
        images: uint8 or float32 array `(n, height, width, channels)` of
            training images; the first `STATISTICS_EXAMPLES` set the input
            constants.
        widths: tuple of ints, filters or units of each group of layers;
            empty for the architecture's own.
        dropout: tuple of floats, dropout rates; empty for none.
        max_norm: float, largest norm of a hidden unit's incoming weights;
            0 for no limit.
        image_size: int, height and width that the network is built for. The
            model resizes the images to it; see `resizing.resized`. 0 for the
            size of the images.

    Returns:
        A built `keras.Model`, `(batch, *image_shape)` -> float32 logits
        `(batch, num_classes)`.

    Raises:
        ValueError: if the name is unknown, the architecture does not take
            one of the options, or the result is not logits `(batch,
            num_classes)` or rescales images of another range.
    """
    options = _given(widths=widths, dropout=dropout, max_norm=max_norm)
    build = _find(name, options)
    images = images[:STATISTICS_EXAMPLES]
    size, view_size = (image_size, image_size), image_shape[:2]
    if image_size and size != tuple(view_size):
        resized = resizing.resize_array(images, size)
        images = image_spec.to_dtype(resized, images.dtype)
        image_shape = (*size, image_shape[-1])
    arguments = {"image_shape": image_shape, "num_classes": num_classes}
    if _takes_images(build):
        arguments["images"] = images
    call = _call_user_function if ":" in name else _call_own_function
    # A layer gets the same name, whatever was built before.
    with keras_internals.fresh_names():
        model = call(name, build, {**arguments, **options})
    outputs = keras.tree.flatten(interface.outputs_of(model))
    shapes = [tuple(getattr(output, "shape", ())) for output in outputs]
    if shapes != [(None, num_classes)]:
        raise ValueError(
            f"model {name!r} must return logits of shape (None, {num_classes})"
            f". Received: {', '.join(map(str, shapes))}"
        )
    _check_image_shape(name, interface.input_shape(model), image_shape)
    image_spec.check_same(
        first_layer.expected_images(model),
        image_spec.measure(images),
        model=f"the first layer of {name!r}",
    )
    activations.check_logits(model, role=f"model {name!r}")
    if tuple(view_size) != tuple(image_shape[:2]):
        return resizing.resized(model, view_size, model_size=image_shape[:2])
    return model


def check(name, *, widths=(), dropout=(), max_norm=0.0):
    """Checks that a network exists, as far as possible without building it.

    Args:
        name, widths, dropout, max_norm: as for `build_model`.

    Raises:
        ValueError: if the name is unknown, or the architecture does not take
            one of the options.
    """
    _find(name, _given(widths=widths, dropout=dropout, max_norm=max_norm))


def network_options(fields):
    """The options of `build_model` that a section has fields for: a dict.

    Args:
        fields: the section of a network in the configuration.
    """
    return {name: fields[name] for name in ("widths", "dropout", "max_norm")}


def _given(**options):
    """The options that are not empty."""
    return {
        key: tuple(value) if isinstance(value, (list, tuple)) else value
        for key, value in options.items()
        if value
    }


def _find(name, options):
    """The function that builds a network; it takes the options."""
    if ":" in name:
        return _user_function(name, {"image_shape", "num_classes", *options})
    build = _function_of(name)
    _check_options(name, build, options)
    return build


def _user_function(name, arguments):
    build = source_code.load(name, what=f"model {name!r}")
    if _takes_images(build):
        arguments = {*arguments, "images"}
    try:
        _signature(build).bind(**dict.fromkeys(arguments))
    except TypeError as error:
        raise ValueError(
            f"model {name!r} must be a function of "
            f"{', '.join(sorted(arguments))}. Received an error: {error}"
        ) from error
    return build


def _check_image_shape(name, input_shape, image_shape):
    expected = (None, *image_shape)
    fits = isinstance(input_shape, tuple) and len(input_shape) == 4
    if not fits or any(
        own not in (None, size) for own, size in zip(input_shape, expected)
    ):
        raise ValueError(
            f"model {name!r} must take images of shape {expected} (its "
            f"image_shape). Received: an input of {input_shape}"
        )


def _takes_images(build):
    return "images" in _signature(build).parameters


def _signature(build):
    try:
        return inspect.signature(build)
    except ValueError:
        # Functions in C have none; they may take any argument.
        return inspect.signature(lambda **arguments: None)


def _call_own_function(name, build, arguments):
    """Calls a function of this package or of Keras."""
    try:
        return build(**arguments)
    except ValueError as error:
        height, width, _ = arguments["image_shape"]
        reason = next(filter(None, str(error).splitlines()), "")
        raise ValueError(
            f"model {name!r} must be given images that are large enough for "
            "its layers (data.image_size, or image_size of teacher or student)"
            f". Received: {height} x {width}, and an error: {reason}"
        ) from error


def _call_user_function(name, build, arguments):
    """Calls a user's function; any error in it is reported as the user's."""
    try:
        model = build(**arguments)
    except Exception as error:
        raise ValueError(
            f"model {name!r} must build a keras.Model. Received an error "
            f"(--debug shows its lines): {type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(
            f"model {name!r} must return a keras.Model with its input's shape. "
            f"Received: {model!r}"
        )
    return model


def _function_of(name):
    build = MODELS.get(name) or applications.find(name)
    if build is None:
        choices = [*MODELS, *applications.names()]
        raise ValueError(
            f"model must be one of {', '.join(MODELS)}, a keras.applications "
            f"name, or module:function. Received: {name!r}."
            f"{suggestions.did_you_mean(name, choices)}"
        )
    return build


def _check_options(name, build, options):
    """Raises a ValueError for options that an architecture does not take."""
    arguments = inspect.signature(build).parameters
    for option, value in options.items():
        if option not in arguments:
            raise ValueError(
                f"{name} takes no {option}. Received: {option}={value}"
            )

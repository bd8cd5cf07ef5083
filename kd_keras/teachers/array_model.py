"""Makes teachers of models of other runtimes, which compute on arrays."""

import dataclasses

import numpy as np

from kd_keras.teachers import kind
from kd_keras.utils import suggestions

# Images of the trial that finds the shapes of the outputs, and sizes to try if
# the model does not tell its own.
_TRIAL = 2
_USUAL_SIZES = (224, 32, 28, 64, 96)
_USUAL_CHANNELS = (3, 1)
# Names that an error lists.
_MOST_NAMES = 20


@dataclasses.dataclass(frozen=True)
class Feature:
    """An inner output of a model.

    Attributes:
        name: str, as the runtime has it.
        channels_first: bool, whether an output of four axes has its channels
            second.
        is_pooled: bool, whether an output of four axes is averaged over its
            height and width.
    """

    name: str
    channels_first: bool = False
    is_pooled: bool = False

    def of(self, values):
        """The feature, channels last, from an array that the model returns."""
        if values.ndim == 4 and self.is_pooled:
            return values.mean((2, 3) if self.channels_first else (1, 2))
        if values.ndim == 4 and self.channels_first:
            return values.transpose(0, 2, 3, 1)
        return values

    def shape_of(self, shape):
        """The shape that `of` returns, without the batch; None if unknown."""
        if not shape or len(shape) != 4:
            return None if not shape else shape[1:]
        if self.channels_first:
            shape = (shape[0], *shape[2:], shape[1])
        return shape[3:] if self.is_pooled else shape[1:]


def feature_names(options):
    """The features that a teacher returns; without logits at least the last.

    Args:
        options: `TeacherOptions`.
    """
    return options.features or ("",) * (not options.has_logits)


def check_feature(name, names, *, what, path):
    """Raises a ValueError unless a feature's name is one of some names.

    Args:
        name: str.
        names: list of str, in the order of computation.
        what: str, the things that have names, for the error.
        path: str or path of the model, for the error.
    """
    if name in names:
        return
    listed = names[-_MOST_NAMES:]
    count = f"the last {len(listed)} of {len(names)}: "
    raise kind.Unusable(
        f"features (distill.features.teacher) must name a {what}. Received: "
        f"{name!r}; {path} has "
        f"{count if len(listed) < len(names) else ''}{', '.join(listed)}."
        f"{suggestions.did_you_mean(name, names)}"
    )


def as_matrix(values, path):
    """Logits `(batch, num_classes)`, without axes of 1 around the classes.

    Raises:
        ValueError: if there are others.
    """
    if sum(size != 1 for size in values.shape[1:]) > 1 or values.ndim < 2:
        raise kind.Unusable(
            "a classifier must return logits (batch, num_classes). Received: "
            f"{path}, which returned {values.shape}"
        )
    return values.reshape(len(values), -1)


def teacher(run, *, images, path, options, logits=None, features=()):
    """Makes a teacher of a model that computes on arrays.

    Args:
        run: function of an array of images, in the model's layout, -> list
            of arrays: the logits unless the model has none, then the
            features.
        images: `ImageInput` of the model.
        path: str, its path or name.
        options: `TeacherOptions`.
        logits: the shape of the logits with the batch, `()` if it is unknown;
            None for a model without logits.
        features: list of pairs of a `Feature` and its shape with the batch,
            `()` if it is unknown.

    Returns:
        `Teacher`.

    Raises:
        ValueError: if the model cannot be run, or the shape of a feature
            stays unknown.
    """
    # Imported here, since they need TensorFlow.
    from kd_keras.teachers import array_function, outputs
    from kd_keras.teachers import teacher as teachers

    has_logits = logits is not None

    def finished(batch):
        results = images.run(run, batch)
        found = [as_matrix(results.pop(0), path)] if has_logits else []
        return found + [x.of(y) for (x, _), y in zip(features, results)]

    shapes = [(logits[1:2] or (None,))] if has_logits else []
    shapes += [x.shape_of(shape) for x, shape in features]
    shapes = _tried(finished, images, path, options) or shapes
    _check_shapes(features, shapes[has_logits:], path)
    function = array_function.ArrayFunction(finished, shapes=shapes, path=path)

    def call(batch):
        results = function(batch)
        if not has_logits:
            return outputs.Outputs(None, tuple(results))
        found = teachers.as_logits(results[0], options.outputs)
        return outputs.Outputs(found, tuple(results[1:]))

    num_classes = shapes[0][0] if has_logits else None
    return teachers.Teacher(
        call,
        path=path,
        image_shape=images.image_shape,
        num_classes=num_classes,
        has_logits=has_logits,
        feature_shapes=shapes[has_logits:],
        outputs_activation=teachers.activation_of(options.outputs, num_classes),
        image_spec=images.image_spec,
    )


def _check_shapes(features, shapes, path):
    """Raises a ValueError if the shape of a feature is unknown."""
    for (feature, _), shape in zip(features, shapes):
        if shape is None or shape[-1] is None:
            raise kind.Unusable(
                "the shape of a feature must be known: give teacher.image_size."
                f" Received: the feature {feature.name!r} of {path}"
            )


def _tried(run, images, path, options):
    """The outputs' shapes for black images; None if no size is known.

    A model that does not tell the size of its images is tried with usual
    sizes; if it takes none of them, its shapes stay unknown.
    """
    given, error = options.image_size, None
    for shape in _shapes_to_try(images.image_shape, given):
        try:
            return _shapes_of(run, shape, images.image_shape, path)
        except kind.Unusable:
            raise
        except Exception as raised:
            error = raised
    if given or None not in images.image_shape:
        raise kind.Unusable(
            f"a teacher must take images {shape}. Received: {path}, for which "
            f"it raised {kind.first_line(error)}"
        ) from error
    return None


def _shapes_to_try(image_shape, size):
    """Shapes of images, with the sizes that are known."""
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    height, width, channels = image_shape
    for usual in _USUAL_SIZES[: 1 if size else None]:
        for count in [channels] if channels else _USUAL_CHANNELS:
            sizes = (height or pair[0], width or pair[1])
            yield (*(x or usual for x in sizes), count)


def _shapes_of(run, shape, image_shape, path):
    results = run(np.zeros((_TRIAL, *shape), "uint8"))
    for result in results:
        if result.ndim < 2 or len(result) != _TRIAL:
            raise kind.Unusable(
                "logits and features must have the batch as their first axis, "
                f"and another one. Received: {path}, which returned "
                f"{result.shape} for {_TRIAL} images"
            )
    known = None not in image_shape
    # The size of maps may follow from the size of the images.
    return [
        x.shape[1:] if known or x.ndim != 4 else (None, None, x.shape[3])
        for x in results
    ]

"""Teachers that are called in a training step, for logits and features."""

import pathlib

import keras

from kd_keras.models import inner_outputs, interface
from kd_keras.teachers import functions, loading
from kd_keras.teachers import teacher as teachers
from kd_keras.teachers.outputs import Outputs


class LiveTeacher:
    """A teacher as a function images -> `Outputs`, without side effects.

    A plain object: Keras and TensorFlow do not track the teacher in it.

    Args:
        function: function of a batch of images -> `Outputs`.
        num_classes: int, or None if it is unknown before a call.
        feature_shapes: list of tuples, the shapes of the features without the
            batch, or None if they are unknown before a call.
        source: the function whose `takes_arrays` tells whether it computes
            outside of TensorFlow, or None.
    """

    def __init__(self, function, num_classes, feature_shapes, source=None):
        self._function = function
        self._source = source
        self.num_classes = num_classes
        self.feature_shapes = feature_shapes

    def __call__(self, images):
        return self._function(images)

    @property
    def takes_arrays(self):
        return getattr(self._source, "takes_arrays", False)


def live_teacher(teacher, *, names=(), output=None, has_logits=True):
    """Makes a `LiveTeacher`, which runs once for logits and features.

    Args:
        teacher: as `teachers.logits_function` takes it.
        names: tuple of str, the features that it returns: the names of layers
            or outputs, empty text for the last pooled features. The features
            of a `Teacher` were named when it was loaded.
        output: as `teachers.logits_function` takes it.
        has_logits: bool, False if logits are not needed.

    Returns:
        `LiveTeacher`.

    Raises:
        ValueError: if it is no teacher, or has no such features.
    """
    if isinstance(teacher, (str, pathlib.Path)) and names:
        named = "logits" if output is None else str(output)
        teacher = loading.load_teacher(teacher, outputs=named, features=names)
        output = None
    if isinstance(teacher, teachers.Teacher) and (
        names or not (has_logits and teacher.has_logits)
    ):
        return _of_teacher(teacher, names, output, has_logits)
    if not names:
        function, num_classes = teachers.logits_function(teacher, output)
        return LiveTeacher(
            lambda images: Outputs(function(images)),
            num_classes,
            [],
            source=function,
        )
    if isinstance(teacher, keras.Model):
        return _of_model(teacher, names, output, has_logits)
    if has_logits or len(names) > 1 or not callable(teacher):
        raise ValueError(
            "features need a teacher that is a Keras model, or was loaded by "
            "load_teacher(path, features=...); a function may return one "
            "embedding, with soft_loss=None. Received: "
            f"{teacher!r} for {len(names)} features"
        )
    function = functions.PlainFunction(teacher, names[0] or output)
    return LiveTeacher(
        lambda images: Outputs(None, (function(images),)),
        None,
        None,
        source=function,
    )


def _of_teacher(teacher, names, output, has_logits):
    teachers.check_no_output(output)
    if has_logits and not teacher.has_logits:
        raise ValueError(
            "soft_loss must be None for a teacher that is no classifier, and "
            f"trains on its features. Received: {teacher.path}, which was "
            "loaded with outputs='features'"
        )
    if len(teacher.feature_shapes) != len(names):
        raise ValueError(
            "a teacher must return one feature for each FeatureMatch, "
            f"{len(names)}: load_teacher(path, features={names!r}). Received: "
            f"{teacher.path} with {len(teacher.feature_shapes)}"
        )
    return LiveTeacher(
        teacher.outputs, teacher.num_classes, teacher.feature_shapes
    )


def _of_model(model, names, output, has_logits):
    choice = {"role": "teacher", "option": "teacher_output"}
    images_of = teachers.checked_images(model)
    with_features = inner_outputs.with_features(model, names, output=output)

    def call(images):
        outputs, features = with_features(images_of(images))
        logits = None
        if has_logits:
            logits = interface.logits_of(model, outputs, output, **choice)
        return Outputs(logits, features)

    num_classes = None
    if has_logits:
        num_classes = interface.num_classes(model, output, **choice)
    return LiveTeacher(call, num_classes, with_features.shapes)

"""Wraps a model so that it fits the images and classes of the data."""

import dataclasses
import pathlib

from kd_keras.models import image_spec, resizing
from kd_keras.teachers import (
    class_map,
    image_checks,
    loading,
    precision,
    preprocessing,
)
from kd_keras.teachers import teacher as teachers
from kd_keras.utils import suggestions

_ITSELF = ": it scales them itself, so none is right"


def wrap(teacher, options, kind, *, field="image_size"):
    """Makes a teacher for the images and classes of the data.

    Args:
        teacher: `Teacher` of a model as it is.
        options: `TeacherOptions`.
        kind: `TeacherKind` of the model.
        field: str, the option that gave the size, for errors.

    Returns:
        `Teacher`: it resizes the images and preprocesses them, calls the
        model, and maps the classes.

    Raises:
        ValueError: if the model does not fit one of the options.
    """
    computing = precision.computing_in(options.precision, teacher, kind)
    mapped = class_map.mapped(computing, options.classes)
    prepared = _preparing(mapped, options, kind, field)
    return prepared.replaced(
        preprocess=options.preprocess,
        preprocessed_by=lambda name: wrap(
            teacher,
            dataclasses.replace(options, preprocess=name),
            kind,
            field=field,
        ),
    )


def as_teacher(teacher):
    """Makes a `Teacher` of anything that a `Distiller` takes as one.

    Args:
        teacher: as `teacher.logits_function` takes it.

    Raises:
        ValueError: if it is no teacher.
    """
    if isinstance(teacher, teachers.Teacher):
        return teacher
    if isinstance(teacher, (str, pathlib.Path)):
        return loading.load_teacher(teacher)
    function, num_classes = teachers.logits_function(teacher)
    made = teachers.Teacher(
        function,
        path=getattr(teacher, "name", "the function"),
        image_shape=(),
        num_classes=num_classes,
    )

    def preprocessed_by(name):
        before = preprocessing.find(name)
        return made.replaced(
            function=lambda images: function(before(images)),
            preprocess=name,
            preprocessed_by=preprocessed_by,
        )

    return made.replaced(preprocessed_by=preprocessed_by)


def record(options):
    """The settings that answers depend on besides the model: a dict.

    Args:
        options: `TeacherOptions`.
    """
    return {
        **options.record(),
        **preprocessing.record(options.preprocess),
        **class_map.record(options.classes),
    }


def _preparing(teacher, options, kind, field):
    """A teacher that resizes and preprocesses its images."""
    before = preprocessing.find(options.preprocess)
    check_preprocess(teacher, before, kind)
    suggestions.check_choice(
        options.resize, resizing.METHODS, what="teacher.resize"
    )
    size = _size(teacher, options, before, kind, field)
    if size is None and before.name == preprocessing.NONE:
        return teacher

    # The images were checked before: resized ones overshoot, and are no
    # integers.
    def function(images):
        if size:
            images = resizing.resize(images, size, options.resize)
        if before.name != preprocessing.NONE:
            images = before(images)
        if before.is_own:
            image_checks.check_shape(
                images, teacher.image_shape, teacher=teacher.path
            )
        return teacher.function(images)

    shape = teacher.image_shape
    if size or before.is_own:
        shape = (None, None, *shape[2:])
    spec = teacher.image_spec
    if before.name != preprocessing.NONE:
        spec = None if before.is_own else image_spec.UINT8
    return teacher.replaced(
        function=function, image_shape=shape, image_spec=spec
    )


def _size(teacher, options, before, kind, field):
    """`(height, width)` that images are resized to, or None."""
    if not options.image_size:
        fixed = teacher.image_shape[:2]
        # Its preprocessing includes the size.
        return fixed if kind.preprocesses and None not in fixed else None
    size = resizing.as_size(options.image_size)
    # A user's function may crop.
    if not before.is_own:
        resizing.check_size(
            teacher.image_shape, size, model=teacher.path, field=field
        )
    return size


def check_preprocess(teacher, before, kind=None):
    """Raises a ValueError for a preprocessing that a model cannot have.

    Args:
        teacher: `Teacher` or `Classifier` of a model as it is.
        before: `Preprocessing`.
        kind: `TeacherKind` of the model, or None.
    """
    if before.name == preprocessing.NONE:
        return
    if kind and kind.preprocesses:
        raise ValueError(
            "teacher.preprocess must be none for a model that comes with its "
            f"own preprocessing. Received: {before.name} for {teacher.path}"
        )
    channels = (*teacher.image_shape, None, None, None)[2]
    if before.colour and channels not in (None, 3):
        raise ValueError(
            f"teacher.preprocess={before.name} is for models of three "
            f"channels. Received: {teacher.path}, which takes {channels}"
        )
    takes, made = teacher.image_spec, before.image_spec
    if takes and made and not image_spec.same_scaling(takes, made):
        raise ValueError(
            "teacher.preprocess must make images of the range that the model "
            f"takes by its record or its first layers, {takes}"
            f"{_ITSELF if takes == image_spec.UINT8 else ''}. Received: "
            f"{before.name}, which makes {made}, for {teacher.path}"
        )

"""Fits a model's images and classes to the data's, around the model."""

from kd_keras.models import resizing


def wrap(teacher, options, kind, *, field="image_size"):
    """Makes a teacher of images and classes of the data.

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
    if options.image_size:
        size = resizing.as_size(options.image_size)
        teacher = _resizing(teacher, size, field)
    return teacher


def record(options):
    """What a teacher's answers depend on besides its model: a dict.

    Args:
        options: `TeacherOptions`.
    """
    return options.record()


def _resizing(teacher, size, field):
    resizing.check_size(
        teacher.image_shape, size, model=teacher.path, field=field
    )
    # The images were checked before: resized ones overshoot, and are no
    # integers.
    return teacher.replaced(
        function=lambda images: teacher.function(resizing.resize(images, size)),
        image_shape=(None, None, *teacher.image_shape[2:]),
    )

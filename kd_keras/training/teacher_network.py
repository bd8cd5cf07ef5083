"""The layers of a run's teacher, which its student starts from."""

from kd_keras.models import build
from kd_keras.teachers import copies, keras_file, starting_weights
from kd_keras.training import devices, teacher_paths

_FIELD = "teacher.path, for student.from_teacher,"


def load(context, train, num_classes):
    """Loads the teacher of a run as a Keras model, in float32.

    A SavedModel has no layers. That of the teacher stage has the weights of
    the network that the section `teacher` names.

    Args:
        context: `prepare.Context`.
        train: `Examples` of the images that it takes.
        num_classes: int.

    Returns:
        `keras.Model`.

    Raises:
        FileNotFoundError, ValueError: if there are several teachers, or one
            whose layers are not known.
    """
    path = copies.local(path_of(context.config, context.savedmodels))
    with devices.precision_policy("float32"):
        if keras_file.can_load(path):
            return keras_file.load_model(path)
        fields = context.config.teacher
        network = build.build_model(
            fields.model,
            image_shape=train.image_shape,
            num_classes=num_classes,
            images=train.sample(build.STATISTICS_EXAMPLES),
            image_size=fields.image_size,
            **build.network_options(fields),
        )
    loaded = weights(context).load_into(network)
    if loaded.skipped or loaded.unused:
        raise ValueError(
            f"{_FIELD} must be a .keras file, or a SavedModel of the network "
            f"teacher.model={fields.model} with teacher.widths="
            f"{fields.widths}. Received: {path}: {loaded}"
        )
    return network


def weights(context):
    """The teacher's weights: `StartingWeights`.

    Args:
        context: `prepare.Context`.
    """
    path = path_of(context.config, context.savedmodels)
    return starting_weights.StartingWeights(path, field=_FIELD)


def path_of(config, savedmodels):
    """The path of the teacher; raises a ValueError if there are several.

    Args:
        config: the resolved configuration.
        savedmodels: path; see `prepare.Context`.
    """
    path, *others = teacher_paths.of(config, savedmodels)
    if others:
        raise ValueError(
            f"{_FIELD} must be one teacher. Received: {config.teacher.path}"
        )
    return path

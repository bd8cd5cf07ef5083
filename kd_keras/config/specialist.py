"""Section `specialist`: networks for classes that the teacher confuses."""

from kd_keras.config import distill, field, network, optimizer
from kd_keras.config.field import Field, Section


def _check(config):
    count = config.specialist.num_specialists
    field.require(
        -1 <= config.specialist.only < count,
        config,
        "specialist.only",
        f"-1 for all, or less than {count}",
    )


SECTION = Section(
    "specialist",
    "Specialists for confusable classes. They start from the generalist, the "
    "teacher of teacher.path, and have its network and augmentation. See "
    "kd_keras.distillation.specialists.",
    (
        Field(
            "num_specialists",
            3,
            "Number of specialists.",
            field.number(least=2, most=1000),
        ),
        Field(
            "num_classes",
            0,
            "Classes of each specialist: those predicted most together with "
            "the classes of its cluster, so that a class may have several "
            "specialists; 0 for the cluster itself.",
            field.COUNT_OR_ZERO,
        ),
        Field(
            "only",
            -1,
            "Trains only the specialist of this number, from 0, to use "
            "several machines; -1 trains the missing ones and combines all.",
        ),
        *network.training_fields(epochs=5),
        Field(
            "special_share",
            0.5,
            "Share of a batch that is examples of the specialist's classes.",
            field.number(above=0, below=1),
        ),
        Field(
            "soft_loss_weight",
            1.0,
            "Weight of the generalist's soft targets beside the labels, on "
            "the other examples.",
            field.WEIGHT,
        ),
        Field(
            "temperature",
            distill.DEFAULT_TEMPERATURE,
            "Temperature of these soft targets, and of the predictions in "
            "which confusable classes are found.",
            distill.TEMPERATURE,
        ),
        optimizer.SECTION,
    ),
    _check,
)

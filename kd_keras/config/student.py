"""Sections `student` and `baseline`."""

from kd_keras.config import field, network, optimizer
from kd_keras.config.field import Field, Section


def _check(config):
    field.require(
        config.student.weights or not config.student.quantize,
        config,
        "student.weights",
        "the file of a trained network where student.quantize is set",
    )
    field.require(
        config.student.image_size == 0 or not config.student.quantize,
        config,
        "student.image_size",
        f"0 with student.quantize={config.student.quantize}: layers that "
        "resize do not train with rounding",
    )
    if config.student.from_teacher:
        _check_start(config)


def _check_start(config):
    """Checks the fields that student.from_teacher does not go with."""
    for name, usual in (
        ("student.weights", ""),
        ("teacher.preprocess", "none"),
        ("teacher.classes", ""),
        ("teacher.backbone", ""),
    ):
        field.require(
            field.lookup(config, name) == usual,
            config,
            name,
            f"{usual or 'empty'} with student.from_teacher",
        )


SECTION = Section(
    "student",
    "The student.",
    (
        *network.fields(model="cnn_tiny"),
        Field(
            "weights",
            "",
            "File whose weights student and baseline start from: .keras, "
            ".weights.h5 or a SavedModel of this program. Layers of the same "
            "name and shape are loaded; a line says which. Empty for the "
            "network's own initial weights.",
        ),
        Field(
            "from_teacher",
            False,
            "Starts the student from its teacher, where both have the same "
            "layers and the teacher more filters: its best channels are "
            "chosen, and each layer is fitted to them. A .keras file, or the "
            "SavedModel of a network teacher.model. Tune the learning rate "
            "again. The baseline starts from weights of its own.",
        ),
        Field(
            "quantize",
            "",
            "int8 trains student and baseline with the rounding of their int8 "
            "model, in float32, from a trained network (weights); a LiteRT "
            "int8 export then computes what was trained. Empty for none.",
            field.one_of(("", "int8")),
        ),
        optimizer.SECTION,
    ),
    check=_check,
)

BASELINE = Section(
    "baseline",
    "The student's network, trained on labels for as many epochs and in "
    "batches of the same size. Its optimizer can be tuned separately, so that "
    "the comparison is fair.",
    (
        Field(
            "labels_per_class",
            0,
            "Training images of each class that the baseline alone learns "
            "from, as where a teacher is given and you have fewer labels than "
            "it had. 0 for all. Where data.labels_per_class or "
            "data.labelled_ids is set, that chooses for the baseline, too.",
            field.COUNT_OR_ZERO,
        ),
        Field(
            "labelled_passes",
            1,
            "Passes over the images of baseline.labels_per_class that are one "
            "epoch. 55, with 1,000 labels of 55,000 images: an epoch has as "
            "many steps as one of the student.",
            field.number(least=1, most=1_000_000),
        ),
        optimizer.SECTION,
    ),
)

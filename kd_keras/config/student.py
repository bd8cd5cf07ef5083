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
    (optimizer.SECTION,),
)

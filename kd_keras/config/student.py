"""Sections `student` and `baseline`."""

from kd_keras.config import network, optimizer
from kd_keras.config.field import Field, Section

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
        optimizer.SECTION,
    ),
)

BASELINE = Section(
    "baseline",
    "The student's network, trained on labels for as many epochs and in "
    "batches of the same size. Its optimizer can be tuned separately, so that "
    "the comparison is fair.",
    (optimizer.SECTION,),
)

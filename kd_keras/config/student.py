"""Sections `student` and `baseline`."""

from kd_keras.config import network, optimizer
from kd_keras.config.field import Section

SECTION = Section(
    "student",
    "The student.",
    (*network.fields(model="cnn_tiny"), optimizer.SECTION),
)

BASELINE = Section(
    "baseline",
    "The student's network, trained on labels for as many epochs and in "
    "batches of the same size. Its optimizer can be tuned separately, so that "
    "the comparison is fair.",
    (optimizer.SECTION,),
)

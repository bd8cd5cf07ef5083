"""Section `teacher`: its training, and where a trained one is read."""

import math

from kd_keras.config import data, field, network, optimizer
from kd_keras.config.field import Field, Section

MEANS = ("arithmetic", "geometric")

SECTION = Section(
    "teacher",
    "The teacher.",
    (
        *network.fields(model="cnn"),
        Field(
            "path",
            "",
            "SavedModel or .keras file that the student learns from; empty "
            "for <savedmodels>/<name>_teacher, which the teacher stage "
            "writes. Several, separated by commas, are an ensemble.",
        ),
        Field(
            "mean",
            "arithmetic",
            "For an ensemble: the mean of probabilities (arithmetic) or of "
            "their logarithms (geometric).",
            field.one_of(MEANS),
        ),
        Field(
            "weights",
            (),
            "For an ensemble: a weight for each teacher; empty for equal ones.",
            field.each("numbers > 0", lambda weight: 0 < weight < math.inf),
        ),
        Field(
            "outputs",
            "logits",
            "logits, probabilities (a network that ends in softmax), or the "
            "name of the SavedModel's output that holds the logits.",
        ),
        Section(
            "augment",
            "Augmentation of the teacher's training images.",
            tuple(
                Field(
                    entry.name,
                    None,
                    entry.description,
                    entry.rule,
                    same_as=f"data.augment.{entry.name}",
                )
                for entry in data.AUGMENT
            ),
        ),
        optimizer.SECTION,
    ),
)

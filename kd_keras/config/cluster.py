"""Section `cluster`: training on several machines."""

from kd_keras.config import field
from kd_keras.config.field import Field, Section

SECTION = Section(
    "cluster",
    "Training on several machines, where TF_CONFIG names more than one.",
    (
        Field(
            "patience_seconds",
            600.0,
            "Seconds that a worker waits at the start for the others to come, "
            "before it ends and names those that are missing. The result does "
            "not depend on it.",
            field.number(above=0, most=1_000_000),
        ),
    ),
)

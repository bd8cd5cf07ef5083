"""Section `optimizer` of each stage."""

from kd_keras.config import field
from kd_keras.config.field import Field, Section

OPTIMIZERS = ("sgd", "muon", "adamw")
SCHEDULES = ("cosine", "linear", "constant")

SECTION = Section(
    "optimizer",
    "The optimizer and its learning rate schedule.",
    (
        Field(
            "name",
            "adamw",
            "sgd uses Nesterov momentum; muon is sgd with orthogonal steps "
            "for convolutions (kd_keras.models.optimizers.Muon).",
            field.one_of(OPTIMIZERS),
        ),
        Field(
            "learning_rate",
            1e-3,
            "Peak of the schedule.",
            field.POSITIVE_FINITE,
        ),
        Field("momentum", 0.9, "Momentum of sgd and of muon.", field.UP_TO_ONE),
        Field(
            "kernel_learning_rate",
            0.1,
            "For muon: step of a convolution relative to its norm, at a "
            "learning rate of 1.",
            field.NON_NEGATIVE_FINITE,
        ),
        Field(
            "weight_decay",
            0.0,
            "Decoupled weight decay, multiplied by the learning rate; not on "
            "biases and BatchNorm.",
            field.NON_NEGATIVE_FINITE,
        ),
        Field(
            "schedule",
            "cosine",
            "Shape of the fall from the peak to final_factor of it.",
            field.one_of(SCHEDULES),
        ),
        Field(
            "warmup_epochs",
            0.0,
            "Epochs of the linear rise from 0 to the peak.",
            field.NON_NEGATIVE_FINITE,
        ),
        Field(
            "final_factor",
            0.0,
            "Last learning rate, as a share of the peak.",
            field.UP_TO_ONE,
        ),
        Field(
            "clip_norm",
            0.0,
            "Largest norm of the whole gradient; 0 for no clipping.",
            field.NON_NEGATIVE_FINITE,
        ),
    ),
)

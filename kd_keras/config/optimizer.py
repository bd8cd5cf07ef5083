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
            field.number(above=0, most=1000),
        ),
        Field(
            "momentum",
            0.9,
            "Momentum of sgd and of muon.",
            field.UP_TO_ONE,
            used_with=("name", field.one_of(("sgd", "muon"))),
        ),
        Field(
            "kernel_learning_rate",
            0.1,
            "For muon: step of a convolution relative to its norm, at a "
            "learning rate of 1.",
            field.number(least=0, most=1000),
            used_with=("name", field.one_of(("muon",))),
        ),
        Field(
            "weight_decay",
            0.0,
            "Decoupled weight decay, multiplied by the learning rate; not on "
            "biases and BatchNorm.",
            field.number(least=0, most=1000),
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
            "Epochs of the linear rise from 0 to the peak, at most those of "
            "the stage.",
            field.WEIGHT,
        ),
        Field(
            "final_factor",
            0.0,
            "Last learning rate, as a share of the peak.",
            field.UP_TO_ONE,
            used_with=("schedule", field.one_of(("cosine", "linear"))),
        ),
        Field(
            "clip_norm",
            0.0,
            "Largest norm of the whole gradient; 0 for no clipping.",
            field.WEIGHT,
        ),
    ),
)


def check_warmup(config, stage, section):
    """Raises a ValueError if a stage's warm-up is longer than its training.

    Args:
        config: the whole configuration.
        stage: str, the section with the optimizer.
        section: str, the section with the epochs.
    """
    epochs = config[section].epochs
    field.require(
        config[stage].optimizer.warmup_epochs <= epochs,
        config,
        f"{stage}.optimizer.warmup_epochs",
        f"at most {section}.epochs={epochs}",
    )

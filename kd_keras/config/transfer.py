"""Section `transfer`: the examples that student and baseline train on."""

from kd_keras.config import field
from kd_keras.config.field import Field, Section

_CLASSES = field.each(int, field.COUNT_OR_ZERO, most=10_000)


def _check(config):
    transfer = config.transfer
    field.require(
        not (transfer.omit_classes and transfer.only_classes),
        config,
        "transfer.omit_classes",
        f"empty with transfer.only_classes={transfer.only_classes}",
    )


SECTION = Section(
    "transfer",
    "The transfer set: the training examples of student and baseline. Labels "
    "are used for this choice only.",
    (
        Field(
            "omit_classes",
            (),
            "Classes that are left out; empty for none.",
            _CLASSES,
        ),
        Field(
            "only_classes",
            (),
            "The only classes that are kept; empty for all.",
            _CLASSES,
        ),
        Field(
            "fraction",
            1.0,
            "Share of the remaining examples that is kept.",
            field.number(above=0, most=1),
        ),
        Field(
            "balanced",
            False,
            "Whether equally many examples of each class are kept. Otherwise "
            "they are chosen without regard to their classes.",
        ),
        Field(
            "seed",
            None,
            "Seed for the choice.",
            field.SEED,
            same_as="seed",
        ),
    ),
    _check,
)

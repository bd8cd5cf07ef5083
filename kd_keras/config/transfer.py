"""Section `transfer`: the examples that student and baseline train on."""

from kd_keras.config import field
from kd_keras.config.field import Field, Section

_CLASSES = field.each(
    "whole numbers >= 0",
    lambda value: isinstance(value, int) and value >= 0,
)


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
            field.Rule("in (0, 1]", lambda value: 0 < value <= 1),
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
            field.NON_NEGATIVE,
            same_as="seed",
        ),
    ),
    _check,
)

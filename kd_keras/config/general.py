"""Fields of the whole experiment."""

import re

from kd_keras.config.field import SEED, Field, Rule, number, one_of

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


# With "_specialist_exports" behind it a file name has at most 255 bytes.
_NAME_BYTES = 200
_MOST_DEVICES = 64


def _is_file_name(name):
    return (
        re.fullmatch(r"[^\s.~-](.*[^\s.])?", name)
        and not set(name) & set('/\\:*?"<>|')
        and name.isprintable()
        and len(name.encode()) <= _NAME_BYTES
    )


def _is_auto_or_count(devices):
    return devices == "auto" or (
        re.fullmatch("[1-9][0-9]?", devices) and int(devices) <= _MOST_DEVICES
    )


NAME = Rule(
    f"a file name of at most {_NAME_BYTES} bytes, without "
    '/ \\ : * ? " < > | and control characters, that does not begin with a '
    "dot, dash, tilde or space, nor end with a dot or space",
    _is_file_name,
)
FIELDS = (
    Field(
        "name",
        "experiment",
        "Names the run directory and the exported models: <name>_student.",
        NAME,
    ),
    Field(
        "seed",
        0,
        "Seed for all randomness.",
        SEED,
    ),
    Field(
        "precision",
        "float32",
        "Precision of training; exported models compute in float32. auto is "
        "bfloat16 on CPUs that are faster in it (AMX, or AVX512-BF16 of AMD), "
        "else float32.",
        one_of(PRECISIONS),
    ),
    Field(
        "devices",
        "auto",
        "auto uses every GPU, or the CPU if there is none. A number splits "
        "the CPU into as many logical devices, to try replicas without GPUs.",
        Rule(
            f"'auto' or a whole number from 1 to {_MOST_DEVICES}",
            _is_auto_or_count,
        ),
    ),
    Field(
        "checkpoint_minutes",
        10.0,
        "Minutes between two checkpoints within an epoch, from which a killed "
        "training resumes; 0 saves at the end of each epoch alone. The result "
        "does not depend on it.",
        number(least=0, most=1_000_000),
    ),
)

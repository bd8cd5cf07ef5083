"""Fields of the whole experiment."""

from kd_keras.config.field import Field, Rule, one_of

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


def _is_file_name(name):
    return bool(name) and not set(name) & set("/\\")


def _is_auto_or_count(devices):
    return devices == "auto" or (devices.isdigit() and int(devices) > 0)


FIELDS = (
    Field(
        "name",
        "experiment",
        "Names the run directory and the exported models: <name>_student.",
        Rule("a non-empty name without slashes", _is_file_name),
    ),
    Field(
        "seed",
        0,
        "Seed for all randomness.",
        Rule(">= 0 and < 2**31", lambda seed: 0 <= seed < 2**31),
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
        Rule("'auto' or a whole number > 0", _is_auto_or_count),
    ),
)

"""The configuration: every field with its default, rule and description.

A recipe in `configs/` starts from `default_config()` and changes the fields of
its experiment; the command line overrides single fields with
`--config.student.epochs=3`. Each section has a file here, in which its fields
are declared.
"""

from kd_keras.config.distill import (
    DEFAULT_TEMPERATURE,
    SOFT_LOSSES,
    uses_labels,
)
from kd_keras.config.flat import differing, flatten
from kd_keras.config.schema import default_config, validate
from kd_keras.config.teacher import MEANS

__all__ = [
    "DEFAULT_TEMPERATURE",
    "MEANS",
    "SOFT_LOSSES",
    "default_config",
    "differing",
    "flatten",
    "uses_labels",
    "validate",
]

# The stages of `--stage=all`, in this order.
STAGES = ("teacher", "student", "baseline")
SPECIALIST = "specialist"
# Fields of `teacher` that are about what the student learns from.
_STUDENTS_TEACHER = ("path", "outputs", "mean", "weights")


def stage_fields(config, stage):
    """The part of the configuration that a stage's result depends on."""
    fields = {
        key: config[key] for key in ("name", "seed", "precision", "devices")
    }
    if stage == "teacher":
        fields["data"] = _without(config.data, "augment", "mixup", "cutmix")
        fields["teacher"] = _without(config.teacher, *_STUDENTS_TEACHER)
    elif stage == "student":
        fields["data"] = config.data
        fields["transfer"] = config.transfer
        fields["student"] = config.student
        fields["distill"] = config.distill
        # The file is known by its fingerprint, wherever it lies.
        fields["teacher"] = {
            key: config.teacher[key]
            for key in _STUDENTS_TEACHER
            if key != "path"
        }
    elif stage == SPECIALIST:
        fields["data"] = _without(config.data, "augment", "mixup", "cutmix")
        # The teacher's file and training are known by its fingerprint.
        fields["teacher"] = {
            key: config.teacher[key]
            for key in (
                "model",
                "widths",
                "dropout",
                "max_norm",
                "augment",
                "outputs",
            )
        }
        fields["specialist"] = _without(config.specialist, "only")
    else:
        fields["data"] = _without(config.data, "mixup", "cutmix")
        fields["transfer"] = config.transfer
        fields["student"] = _without(config.student, "optimizer")
        fields["baseline"] = config.baseline
    flat = flatten(fields)
    for field in list(flat):
        optimizer, _, name = field.rpartition(".")
        if (
            name == "kernel_learning_rate"
            and flat[f"{optimizer}.name"] != "muon"
        ):
            del flat[field]
    return flat


def _without(section, *fields):
    return {key: v for key, v in section.items() if key not in fields}

"""The configuration: every field with its default, rule and description.

A recipe in `configs/` starts from `default_config()` and changes the fields of
its experiment; the command line overrides single fields with
`--config.student.epochs=3`. Each section declares its fields in a file of its
own in this folder.
"""

from kd_keras.config.augment import recipe as augment_recipe
from kd_keras.config.differences import differing, log_incomparable
from kd_keras.config.distill import (
    DEFAULT_TEMPERATURE,
    loss_options,
    uses_labels,
)
from kd_keras.config.flat import flatten
from kd_keras.config.optimizer import check_warmup
from kd_keras.config.schema import check_types, default_config, validate
from kd_keras.config.teacher import (
    MEANS,
    PREPROCESSINGS,
    RESIZES,
    TEACHER_PRECISIONS,
)

__all__ = [
    "DEFAULT_TEMPERATURE",
    "MEANS",
    "PREPROCESSINGS",
    "RESIZES",
    "TEACHER_PRECISIONS",
    "augment_recipe",
    "check_types",
    "check_warmup",
    "default_config",
    "differing",
    "flatten",
    "log_incomparable",
    "loss_options",
    "uses_labels",
    "validate",
]

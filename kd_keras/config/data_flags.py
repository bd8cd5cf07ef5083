"""The flags `--data.<field>` of the commands that measure models."""

from absl import flags

from kd_keras.config import overrides, schema
from kd_keras.utils import arguments

# Sections and fields of `data` that training alone uses.
_TRAINING = ("augment", "mixup", "cutmix", "labels_per_class", "labelled_ids")

flags.DEFINE(
    arguments.SectionParser("--data.name=cifar10"),
    "data",
    None,
    "Dataset: --data.name=cifar10.",
)
_FIELDS = arguments.define_fields("data")


def data():
    """Returns the section `data` of the command line.

    Raises:
        ValueError: if a field is unknown, not allowed or without an effect.
    """
    for name in _FIELDS.texts:
        if name.partition(".")[0] in _TRAINING:
            raise ValueError(
                f"--data.{name} has no effect here: images are measured as "
                "they are. Received: a value"
            )
    config = schema.default_config()
    overrides.apply(config.data, _FIELDS)
    schema.validate(config)
    overrides.check_used(config, [f"data.{name}" for name in _FIELDS.texts])
    return config.data

"""The flag `--config` and the fields `--config.<field>` of a command."""

import sys

from absl import flags

from kd_keras.config import overrides, recipes, reference, schema
from kd_keras.utils import arguments, help_text


class _HelpConfigFlag(flags.BooleanFlag):
    """Prints the reference and exits, as `--help` does."""

    def __init__(self):
        super().__init__(
            "help-config",
            False,
            "Show every field of the configuration with its default.",
        )

    def parse(self, argument):
        super().parse(argument)
        if self.value:
            help_text.show(reference.text())
            sys.exit(0)


_CONFIG = flags.DEFINE_string(
    "config",
    recipes.DEFAULT,
    "A recipe in configs/, such as cifar10, or the path of a Python file with "
    "get_config(). --config.field=value overrides a field; --help-config "
    "shows them all.",
)
_FIELDS = arguments.define_fields("config")
flags.DEFINE_flag(_HelpConfigFlag())


def config():
    """Returns the configuration of the command line.

    Raises:
        ValueError: if the recipe cannot be used, or a field is unknown, not
            allowed or without an effect.
    """
    config = recipes.load(_CONFIG.value)
    overrides.apply(config, _FIELDS)
    schema.validate(config)
    overrides.check_used(config, _FIELDS.texts)
    return config

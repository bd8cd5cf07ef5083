"""Flags of the commands that make runs."""

import sys

from absl import flags
from ml_collections import config_flags

from kd_keras.config import recipes, reference

DEFAULT_CONFIG = recipes.DEFAULT


class _RecipeParser(flags.ArgumentParser):
    """Reads a recipe's name or path; its errors fit on one line."""

    def parse(self, argument):
        config = recipes.load(argument)
        # Unknown fields are refused from here on.
        config.lock()
        return config


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
            print(reference.text())
            sys.exit(0)


CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "A recipe in configs/, such as cifar10, or the path of a Python file with "
    f"get_config() (default: {DEFAULT_CONFIG}). --config.field=value "
    "overrides a field; --help-config shows them all.",
)
flags.FLAGS["config"].parser = _RecipeParser()
flags.DEFINE_flag(_HelpConfigFlag())
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the run (default: runs/<config name>)."
)
SAVEDMODELS = flags.DEFINE_string(
    "savedmodels", "savedmodels", "Directory of exported models."
)


def workdir():
    """Returns the directory of the run."""
    return _WORKDIR.value or f"runs/{CONFIG.value.name}"

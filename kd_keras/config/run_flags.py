"""The flags of the programs that make runs."""

import pathlib

from absl import flags
from ml_collections import config_flags

DEFAULT_CONFIG = pathlib.Path(__file__).parents[2] / "configs" / "mnist.py"

CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Configuration file (default: configs/mnist.py); --config.field=value "
    "overrides one of its fields.",
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where runs are kept (default: runs/<config name>)."
)
SAVEDMODELS = flags.DEFINE_string(
    "savedmodels", "savedmodels", "Where exported models go."
)


def workdir():
    return _WORKDIR.value or f"runs/{CONFIG.value.name}"

"""The flags of the programs that make runs."""

import os
import pathlib

from absl import flags
from ml_collections import config_flags

_DEFAULT_CONFIG = pathlib.Path(__file__).parents[2] / "configs" / "mnist.py"

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


def find_config(name):
    """Returns the path of the configuration file `name`, or the default's."""
    if name is None:
        return _DEFAULT_CONFIG
    if not os.path.isfile(name):
        raise ValueError(
            "--config must be a Python file with get_config(). "
            f"Received: {name!r}, which is no file"
        )
    return name


def workdir():
    return _WORKDIR.value or f"runs/{CONFIG.value.name}"

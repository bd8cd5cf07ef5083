"""Flags of the commands that make runs."""

from absl import flags

from kd_keras.config import config_flags

flags.adopt_module_key_flags(config_flags)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the run (default: runs/<config name>)."
)
SAVEDMODELS = flags.DEFINE_string(
    "savedmodels",
    "savedmodels",
    "Directory of exported models, also at gs://, s3:// or az://.",
)
# The function that reads the configuration from the command line.
config = config_flags.config


def workdir(config):
    """Returns the directory of the run."""
    return _WORKDIR.value or f"runs/{config.name}"

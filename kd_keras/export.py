"""Exports a model to the formats of phones, web pages and microcontrollers.

Formats:
  litert       LiteRT (TensorFlow Lite), float32
  litert_int8  LiteRT in integers alone, calibrated on training pictures
  onnx         ONNX, float32
  c_array      C header with the int8 model, for LiteRT for Microcontrollers

All take uint8 pictures from 0 to 255 and return logits. Every file is loaded
again in its own runtime and compared with the model on the test pictures
before it takes its place in --output, with a model card beside it.

Examples:
  python -m kd_keras.export --model=savedmodels/cifar10_student \\
      --data.name=cifar10 --output=edge
  python -m kd_keras.export --model=student.keras --formats=onnx --output=edge

Labels of the test set only tell the errors; calibration takes none. The
packages of all formats: pip install -e '.[export]'. Other fields of --data
are those of the section `data` in kd_keras.train --help-config.
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from kd_keras import config as config_lib
from kd_keras.utils import command_line, quiet

flags.adopt_module_key_flags(command_line)
_MODEL = flags.DEFINE_string("model", None, "SavedModel or .keras file.")
_FORMATS = flags.DEFINE_list(
    "formats", ["litert", "litert_int8", "onnx"], "What to write."
)
_OUTPUT = flags.DEFINE_string("output", None, "The directory of the files.")
_CALIBRATION_EXAMPLES = flags.DEFINE_integer(
    "calibration_examples", 500, "Training pictures that set int8's ranges."
)
_DATA = config_flags.DEFINE_config_dict(
    "data", config_lib.default_config().data, "The data: --data.name=cifar10."
)


def main():
    for flag in ("model", "output"):
        if not flags.FLAGS[flag].value:
            raise ValueError(f"--{flag} must be a path. Received: none")

    with quiet.without_messages():
        from kd_keras.deployment import exporting

    rows = exporting.export(
        _MODEL.value,
        formats=_FORMATS.value,
        output=pathlib.Path(_OUTPUT.value),
        data=_DATA.value,
        calibration_examples=_CALIBRATION_EXAMPLES.value,
        command=command_line.command("kd_keras.export"),
    )
    print(exporting.table(rows))


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()

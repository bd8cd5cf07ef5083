"""Exports a model to LiteRT, ONNX or a C array.

All formats take uint8 images from 0 to 255, or floats of the range that the
model was trained on, and return logits. Each file is run in its own runtime and
compared with the model on the test images before it is put into --output, with
a model card.

Examples:
  kd-keras export --model=savedmodels/cifar10_student \\
      --data.name=cifar10 --output=edge
  kd-keras export --model=student.keras --formats=onnx --output=edge
  kd-keras export --model=mobilenet.keras --preprocess=tf --output=edge

The labels of the test set are used to count errors. Without labels, files are
compared on training images. Calibration needs no labels. The packages of all
formats: pip install -e '.[export]'. Other fields of --data are in the section
`data` of kd-keras train --help-config.
"""

from kd_keras.utils import interruption

if __name__ == "__main__":
    # Before the imports that take time.
    interruption.exit_at_once()

from absl import flags

from kd_keras.config import data_flags
from kd_keras.deployment import formats
from kd_keras.utils import command_line

__doc__ += f"\nFormats:\n{formats.descriptions()}\n"

flags.adopt_module_key_flags(command_line)
flags.adopt_module_key_flags(data_flags)
_MODEL = flags.DEFINE_string("model", None, "SavedModel or .keras file.")
_FORMATS = flags.DEFINE_list(
    "formats",
    ["litert", "litert_int8", "onnx"],
    "Formats to write, separated by commas.",
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory of the files, also at gs://, s3:// or az://."
)
_CALIBRATION_EXAMPLES = flags.DEFINE_integer(
    "calibration_examples",
    500,
    "Training images that set the ranges of int8.",
    lower_bound=1,
    upper_bound=1_000_000,
)
_PREPROCESS = flags.DEFINE_string(
    "preprocess",
    "none",
    "What is done to images from 0 to 255 before the model, in each file: "
    "none, 0-1, tf, torch, caffe or module:function, as teacher.preprocess.",
)


def main():
    for flag in ("model", "output"):
        if not flags.FLAGS[flag].value:
            raise ValueError(f"--{flag} must be a path. Received: none")
    data = data_flags.data()

    with command_line.importing():
        from kd_keras.deployment import exporting

    rows = exporting.export(
        _MODEL.value,
        formats=_FORMATS.value,
        output=_OUTPUT.value,
        data=data,
        calibration_examples=_CALIBRATION_EXAMPLES.value,
        preprocess=_PREPROCESS.value,
        command=command_line.command("kd_keras.export"),
    )
    print(exporting.table(rows))


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()

"""Measures a model against its teacher and a baseline.

Reports errors with a 95 % interval, likelihood, calibration, agreement with
the teacher, and whether the difference from the baseline is significant.
Models are SavedModels, or files: .keras, .h5, .tflite, .onnx, .pt2, .pt,
.torchscript, or the .h of a C array. Several, separated by commas, are measured
as an ensemble.

Examples:
  kd-keras evaluate --model=savedmodels/mnist_student \\
      --teacher=savedmodels/mnist_teacher
  kd-keras evaluate --model=student.tflite --data.name=cifar10
  kd-keras evaluate --model=student.keras --baseline=other.keras \\
      --data.name=folder --data.data_dir=images --output=results.json
  kd-keras evaluate --model=a.keras,b.keras --mean=geometric

--data.validation_examples=N calibrates each model by a temperature that is
fitted on the validation examples. N must be the N of the training: on training
examples, the temperature would be too low. kd-keras train --help-config shows
the fields of --data, in the section `data`.
"""

from kd_keras.utils import interruption

if __name__ == "__main__":
    # Before the imports that take time.
    interruption.exit_at_once()

from absl import flags

from kd_keras import config as config_lib
from kd_keras.config import data_flags
from kd_keras.utils import command_line, files

flags.adopt_module_key_flags(command_line)
flags.adopt_module_key_flags(data_flags)
_MODEL = flags.DEFINE_list("model", None, "The model to measure.")
_TEACHER = flags.DEFINE_list("teacher", None, "The model's teacher.")
_BASELINE = flags.DEFINE_list(
    "baseline", None, "Another model, to compare the model with."
)
_MEAN = flags.DEFINE_enum(
    "mean", "arithmetic", config_lib.MEANS, "Mean of an ensemble's predictions."
)
_SPLIT = flags.DEFINE_string("split", "test", "One of test, validation, train.")
_TEMPERATURE = flags.DEFINE_float(
    "temperature",
    config_lib.DEFAULT_TEMPERATURE,
    "Temperature of the training, for the softened KL.",
)
_RESIZE = flags.DEFINE_bool(
    "resize",
    False,
    "Resize the images for each model that takes another size.",
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the results.")


def main():
    if not _MODEL.value:
        raise ValueError("--model must be a model's path. Received: none")

    several = [_MODEL.value, _TEACHER.value or [], _BASELINE.value or []]
    if flags.FLAGS["mean"].present and max(map(len, several)) < 2:
        raise ValueError(
            "--mean has no effect without several models, separated by "
            f"commas. Received: --mean={_MEAN.value} with one"
        )
    data = data_flags.data()
    if _OUTPUT.value:
        files.check_output(_OUTPUT.value, by="evaluate")
    with command_line.importing():
        from kd_keras.evaluation import comparison, summary

    results = comparison.evaluate_model(
        _MODEL.value,
        teacher=_TEACHER.value or None,
        baseline=_BASELINE.value or None,
        data=data,
        split=_SPLIT.value,
        temperature=_TEMPERATURE.value,
        mean=_MEAN.value,
        resize=_RESIZE.value,
    )
    print(summary.summary(results))
    if _OUTPUT.value:
        files.write_json_output(
            _OUTPUT.value,
            results,
            by="evaluate",
            command=command_line.command("kd_keras.evaluate"),
        )
        print(f"{_OUTPUT.value}: written")


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()

"""Measures a model, beside its teacher and a baseline.

Errors with their 95 % interval, likelihood, calibration, agreement with the
teacher, and whether the difference to the baseline is more than chance.
Models are SavedModels, .keras, .tflite or .onnx files; several with commas
between are one, their ensemble.

Examples:
  python -m kd_keras.evaluate --model=savedmodels/mnist_student \\
      --teacher=savedmodels/mnist_teacher
  python -m kd_keras.evaluate --model=student.tflite --data.name=cifar10
  python -m kd_keras.evaluate --model=student.keras --baseline=other.keras \\
      --data.name=folder --data.data_dir=pictures --output=results.json
  python -m kd_keras.evaluate --model=a.keras,b.keras --mean=geometric

--data.validation_examples=N holds as many training examples out as the
training did, and fits on them the temperature that calibrates a model; on
examples that it was trained on, that would be no calibration. Other fields of
--data are those of the section `data` in kd_keras.train --help-config.
"""

from absl import flags
from ml_collections import config_flags

from kd_keras import config as config_lib
from kd_keras.utils import command_line, files, quiet

flags.adopt_module_key_flags(command_line)
_MODEL = flags.DEFINE_list("model", None, "What is measured.")
_TEACHER = flags.DEFINE_list("teacher", None, "Its teacher.")
_BASELINE = flags.DEFINE_list(
    "baseline", None, "Another model, to be compared with."
)
_MEAN = flags.DEFINE_enum(
    "mean", "arithmetic", config_lib.MEANS, "That of an ensemble's predictions."
)
_DATA = config_flags.DEFINE_config_dict(
    "data", config_lib.default_config().data, "The data: --data.name=cifar10."
)
_SPLIT = flags.DEFINE_string("split", "test", "test, validation or train.")
_TEMPERATURE = flags.DEFINE_float(
    "temperature",
    config_lib.DEFAULT_TEMPERATURE,
    "That of the training, for the softened KL.",
)
_OUTPUT = flags.DEFINE_string("output", None, "A JSON file with all of it.")


def main():
    if not _MODEL.value:
        raise ValueError("--model must be a model's path. Received: none")

    if _OUTPUT.value:
        files.check_output(_OUTPUT.value)
    with quiet.without_messages():
        from kd_keras import evaluation

    results = evaluation.evaluate(
        _MODEL.value,
        teacher=_TEACHER.value or None,
        baseline=_BASELINE.value or None,
        data=_DATA.value,
        split=_SPLIT.value,
        temperature=_TEMPERATURE.value,
        mean=_MEAN.value,
    )
    print(evaluation.summary(results))
    if _OUTPUT.value:
        files.write_json_output(
            _OUTPUT.value,
            results,
            command=command_line.command("kd_keras.evaluate"),
        )


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()

"""Measures a model, beside its teacher and a baseline.

Errors with their 95 % interval, likelihood, calibration, agreement with the
teacher, and whether the difference to the baseline is more than chance.
Models are SavedModels, .keras, .tflite or .onnx files.

Examples:
  python -m kd_keras.evaluate --model=savedmodels/mnist_student \\
      --teacher=savedmodels/mnist_teacher
  python -m kd_keras.evaluate --model=student.tflite --data.name=cifar10
  python -m kd_keras.evaluate --model=student.keras --baseline=other.keras \\
      --data.name=folder --data.data_dir=pictures --output=results.json

--data.validation_examples=N holds as many training examples out as the
training did, and fits on them the temperature that calibrates a model; on
examples that it was trained on, that would be no calibration. Other fields of
--data are those of config.data in kd_keras/config.py.
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from kd_keras import commandline, quiet
from kd_keras import config as config_lib

flags.adopt_module_key_flags(commandline)
_MODEL = flags.DEFINE_string("model", None, "What is measured.")
_TEACHER = flags.DEFINE_string("teacher", None, "Its teacher.")
_BASELINE = flags.DEFINE_string(
    "baseline", None, "Another model, to be compared with."
)
_DATA = config_flags.DEFINE_config_dict(
    "data", config_lib.default_config().data, "The data: --data.name=cifar10."
)
_SPLIT = flags.DEFINE_string("split", "test", "test, validation or train.")
_TEMPERATURE = flags.DEFINE_float(
    "temperature", 4.0, "That of the training, for the softened KL."
)
_OUTPUT = flags.DEFINE_string("output", None, "A JSON file with all of it.")


def main():
    if not _MODEL.value:
        raise ValueError("--model must be a model's path. Received: none")

    with quiet.without_messages():
        from kd_keras import evaluation, rundir

    results = evaluation.evaluate(
        _MODEL.value,
        teacher=_TEACHER.value,
        baseline=_BASELINE.value,
        data=_DATA.value,
        split=_SPLIT.value,
        temperature=_TEMPERATURE.value,
    )
    print(_summary(results))
    if _OUTPUT.value:
        rundir.write_json(pathlib.Path(_OUTPUT.value), results)


def _summary(results):
    models = results["models"]
    first = models["model"]
    count = f"{first['examples']:,} examples"
    lines = [
        "",
        f"{results['data']}, {results['split']}: {count}",
        "",
        f"{'':10}{'errors':>8}{'accuracy (95 % interval)':>28}{'NLL':>9}"
        f"{'Brier':>8}{'ECE':>8}{'adaptive':>10}",
    ]
    for role, measured in models.items():
        low, high = measured["accuracy_interval"]
        interval = f"{measured['accuracy']:.2%} ({low:.2%} to {high:.2%})"
        lines.append(
            f"{role:10}{measured['errors']:>8,}{interval:>28}"
            f"{measured['nll']:>9.4f}{measured['brier']:>8.4f}"
            f"{measured['ece']:>8.2%}{measured['adaptive_ece']:>10.2%}"
        )
    lines += ["", "class     precision  recall"]
    lines += [
        f"{i:<10}{precision:>9.2%}{recall:>8.2%}"
        for i, (precision, recall) in enumerate(
            zip(first["precision"], first["recall"])
        )
    ]
    lines += ["", *_calibration(models), *_comparisons(results)]
    return "\n".join(lines)


def _calibration(models):
    if "calibrated" not in models["model"]:
        return ["calibration: no validation set (--data.validation_examples)"]
    return [
        f"{role}, calibrated by T = {fitted['temperature']:.3f}: "
        f"NLL {fitted['nll']:.4f}, ECE {fitted['ece']:.2%}"
        for role, fitted in (
            (role, measured["calibrated"]) for role, measured in models.items()
        )
    ]


def _comparisons(results):
    lines = []
    teacher = results["against_teacher"]
    if teacher:
        lines.append(
            f"with the teacher: agreement {teacher['agreement']:.2%}, KL "
            f"{teacher['kl']:.4f} at T = 1 and {teacher['kl_softened']:.4f} "
            f"at T = {teacher['temperature']:g}"
        )
        if teacher["teacher_mistakes"]:
            lines.append(
                f"on the teacher's {teacher['teacher_mistakes']:,} mistakes: "
                f"the same mistake in {teacher['agreement_on_mistakes']:.2%}"
            )
    baseline = results["against_baseline"]
    if baseline:
        low, high = baseline["difference_interval"]
        verdict = "no difference that is more than chance"
        if baseline["p_value"] < 0.05:
            better = baseline["difference"] > 0
            verdict = "the model is " + ("better" if better else "worse")
        lines.append(
            f"against the baseline: {100 * baseline['difference']:+.2f} points "
            f"({100 * low:+.2f} to {100 * high:+.2f}), McNemar p = "
            f"{baseline['p_value']:.3g}: {verdict}"
        )
    return lines


if __name__ == "__main__":
    commandline.run(main)

"""Trains a teacher on labels, and a student from it without labels.

Stages:
  teacher   trains the teacher on labels
  student   trains the student on the frozen teacher's softened predictions
  baseline  trains the student's network on labels, to compare
  all       the three in a row, and a table (the default)

Examples:
  python -m kd_keras.train
  python -m kd_keras.train --stage=teacher --config=configs/cifar10.py
  python -m kd_keras.train --stage=student --config=configs/cifar10.py \\
      --config.distill.temperature=8 --config.student.epochs=20
  python -m kd_keras.train --stage=student --config.teacher.path=teacher \\
      --config.data.name=folder --config.data.data_dir=pictures

A stage works in <workdir>/<stage>/ and exports a SavedModel to
<savedmodels>/<config name>_<stage>/. The same command goes on after an
interruption, and does nothing where a stage is finished. kd_keras/config.py
documents every field of the configuration.
"""

import difflib
import os
import pathlib
import sys

from absl import flags

from kd_keras import commandline, quiet, runflags
from kd_keras import config as config_lib

flags.adopt_module_key_flags(commandline)
flags.adopt_module_key_flags(runflags)
_STAGE = flags.DEFINE_string(
    "stage", "all", f"One of {', '.join(config_lib.STAGES)}, all."
)
_RESTART = flags.DEFINE_bool(
    "restart", False, "Begin anew: removes what the stages have left before."
)


def main():
    stages = _stages(_STAGE.value)
    config = runflags.CONFIG.value
    config_lib.validate(config)
    workdir = runflags.workdir()

    with quiet.without_messages():
        from kd_keras import stages as stages_lib

    reports = stages_lib.run(
        config,
        stages=stages,
        workdir=workdir,
        savedmodels=runflags.SAVEDMODELS.value,
        restart=_RESTART.value,
        command=commandline.command("kd_keras.train"),
    )
    print(_summary(reports, config, workdir))


def _stages(name):
    if name == "all":
        return list(config_lib.STAGES)
    if name in config_lib.STAGES:
        return [name]
    choices = [*config_lib.STAGES, "all"]
    close = difflib.get_close_matches(name, choices, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"--stage must be one of {', '.join(choices)}. "
        f"Received: {name!r}.{hint}"
    )


def _summary(reports, config, workdir):
    """A table of the stages, and where their results lie."""

    def cell(value, form):
        return "-" if value is None else format(value, form)

    lines = [
        "",
        f"{'':10}{'parameters':>12}{'MACs':>14}{'test errors':>17}"
        f"{'agreement':>11}{'seconds':>9}",
    ]
    for report in reports:
        errors = cell(report["test_errors"], ",")
        if report["test_examples"]:
            errors += f" of {report['test_examples']:,}"
        lines.append(
            f"{report['stage']:10}{report['parameters']:>12,}"
            f"{report['macs']:>14,}{errors:>17}"
            f"{cell(report.get('agreement'), '.2%'):>11}"
            f"{report['seconds']:>9.0f}"
        )
    exported = pathlib.Path(runflags.SAVEDMODELS.value) / (
        f"{config.name}_{reports[-1]['stage']}"
    )
    if any(report["stage"] == "student" for report in reports):
        exported = exported.with_name(f"{config.name}_student")
    lines += [
        "",
        f"SavedModel       {exported}",
        "  import tensorflow as tf",
        f"  model = tf.saved_model.load({str(exported)!r})",
        "  model.signatures['serving_default'](images=uint8_images)['logits']",
        f"TensorBoard logs {workdir}/<stage>/tensorboard",
        f"  {_python()} -m tensorboard.main --logdir {workdir}",
    ]
    return "\n".join(lines)


def _python():
    """This interpreter, as one would type it here."""
    relative = os.path.relpath(sys.executable)
    return sys.executable if relative.startswith("..") else relative


if __name__ == "__main__":
    commandline.run(main, default_config=runflags.DEFAULT_CONFIG)

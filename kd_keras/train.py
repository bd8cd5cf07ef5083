"""Trains a teacher on labels, and a student from it without labels.

Stages:
  teacher   trains the teacher on labels
  student   trains the student on the frozen teacher's softened predictions
  baseline  trains the student's network on labels, to compare
  all       the three in a row, and a table (the default)
  specialist  trains specialists for the classes that the teacher confuses,
            and combines them with it into one model

Examples:
  python -m kd_keras.train
  python -m kd_keras.train --stage=teacher --config=cifar10
  python -m kd_keras.train --stage=student --config=cifar10 \\
      --config.distill.temperature=8 --config.student.epochs=20
  python -m kd_keras.train --stage=student --config.teacher.path=teacher \\
      --config.data.name=folder --config.data.data_dir=pictures

A stage works in <workdir>/<stage>/ and exports a SavedModel to
<savedmodels>/<config name>_<stage>/. The same command goes on after an
interruption, and does nothing where a stage is finished. --help-config shows
every field of the configuration.
"""

import difflib
import os
import pathlib
import sys

from absl import flags

from kd_keras import config as config_lib
from kd_keras.config import run_flags
from kd_keras.utils import command_line, quiet

flags.adopt_module_key_flags(command_line)
flags.adopt_module_key_flags(run_flags)
_CHOICES = (*config_lib.STAGES, "all", config_lib.SPECIALIST)
_STAGE = flags.DEFINE_string("stage", "all", f"One of {', '.join(_CHOICES)}.")
_RESTART = flags.DEFINE_bool(
    "restart", False, "Begin anew: removes what the stages have left before."
)


def main():
    stages = _stages(_STAGE.value)
    config = run_flags.CONFIG.value
    config_lib.validate(config)
    workdir = run_flags.workdir()

    with quiet.without_messages():
        from kd_keras.training import stages as stages_lib

    reports = stages_lib.run(
        config,
        stages=stages,
        workdir=workdir,
        savedmodels=run_flags.SAVEDMODELS.value,
        restart=_RESTART.value,
        command=command_line.command("kd_keras.train"),
    )
    print(_summary(reports, config, workdir))


def _stages(name):
    if name == "all":
        return list(config_lib.STAGES)
    if name in _CHOICES:
        return [name]
    close = difflib.get_close_matches(name, _CHOICES, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"--stage must be one of {', '.join(_CHOICES)}. "
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
    lines += _covering_tables(reports[-1])
    default = f"{config.name}_{reports[-1]['stage']}"
    exported = pathlib.Path(run_flags.SAVEDMODELS.value) / (
        reports[-1].get("model", default)
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


def _covering_tables(report):
    """The paper's tables 3 and 4: lines, none but for all specialists."""
    if "by_covering" not in report:
        return []
    lines = ["", f"specialists of classes {report['class_sets']}"]
    for part, rows in report["by_covering"].items():
        lines += [
            f"{part + ', true class covered by':33}{'examples':>10}"
            f"{'generalist':>12}{'together':>10}{'change':>8}"
        ]
        total = {key: sum(row[key] for row in rows) for key in rows[0]}
        for row in [*rows, {**total, "covering": "all"}]:
            before, after, count = (
                row[key]
                for key in ("generalist_correct", "correct", "examples")
            )
            lines.append(
                f"{row['covering']:>33}{count:>10,}{before / count:>12.2%}"
                f"{after / count:>10.2%}{after - before:>+8}"
            )
    return lines


def _python():
    """This interpreter, as one would type it here."""
    relative = os.path.relpath(sys.executable)
    return sys.executable if relative.startswith("..") else relative


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main, default_config=run_flags.DEFAULT_CONFIG)


if __name__ == "__main__":
    cli()

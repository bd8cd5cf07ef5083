"""Trains a teacher on labels, and a student from it without labels.

Stages:
  teacher     trains the teacher on labels
  student     trains the student on the frozen teacher's softened predictions
  baseline    trains the student's network on labels, to compare
  all         these three, one after the other (the default)
  specialist  trains specialists for the classes that the teacher confuses,
              and combines them with the teacher into one model

Examples:
  kd-keras train
  kd-keras train --stage=teacher --config=cifar10
  kd-keras train --stage=student --config=cifar10 \\
      --config.distill.temperature=8 --config.student.epochs=20
  kd-keras train --stage=student --config.teacher.path=teacher \\
      --config.data.name=folder --config.data.data_dir=images
  kd-keras train --stage=student --extend --config.student.epochs=20

A stage works in <workdir>/<stage>/ and exports a SavedModel to
<savedmodels>/<config name>_<stage>/. After an interruption, the same command
resumes; a finished stage is not trained again, unless --extend adds epochs or
--restart removes it. With TF_CONFIG, which names several machines, all of them
run this command and train together. A model that is no better than chance is
written, too, and the exit code is 1. --help-config shows every field of the
configuration.
"""

from kd_keras.utils import interruption

if __name__ == "__main__":
    # Before the imports that take time.
    interruption.exit_at_once()

import contextlib

from absl import flags

from kd_keras.config import run_flags
from kd_keras.training import stages
from kd_keras.utils import command_line, rendezvous, suggestions, tf_config

flags.adopt_module_key_flags(command_line)
flags.adopt_module_key_flags(run_flags)
_CHOICES = ("all", *stages.STAGES)
_STAGE = flags.DEFINE_string("stage", "all", f"One of {', '.join(_CHOICES)}.")
_EXTEND = flags.DEFINE_bool(
    "extend",
    False,
    "Train earlier runs of the stages for more epochs than they were planned "
    "for: --config.student.epochs=20. The learning rate's schedule starts "
    "again at its peak, over the added epochs.",
)
_RESTART = flags.DEFINE_bool(
    "restart", False, "Start over: remove earlier runs of the stages first."
)


def main():
    suggestions.check_choice(_STAGE.value, _CHOICES, what="--stage")
    # Mistakes in TF_CONFIG are found before TensorFlow is imported.
    workers = tf_config.from_environment()
    config = run_flags.config()
    places = {
        "workdir": run_flags.workdir(config),
        "savedmodels": run_flags.SAVEDMODELS.value,
    }

    with command_line.importing():
        from kd_keras.training import outcome, runs, summary

    reports = runs.run(
        config,
        stages=stages.ALL if _STAGE.value == "all" else [_STAGE.value],
        restart=_RESTART.value,
        extend=_EXTEND.value,
        command=command_line.command("kd_keras.train"),
        **places,
    )
    if workers is None or workers.is_chief:
        print(summary.summary(reports, name=config.name, **places))
    outcome.check(reports)


def _tell_workers(line):
    """Tells the other workers of TF_CONFIG that this one fails, and why."""
    with contextlib.suppress(ValueError):
        workers = tf_config.from_environment()
        if workers is not None:
            # It may wait for them.
            interruption.exit_at_once()
            rendezvous.decline(workers, line)


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main, on_error=_tell_workers)


if __name__ == "__main__":
    cli()

"""Trains in several processes of one machine, to try out clusters.

Examples:
  kd-keras launch --workers=2 -- train --config=mnist
  kd-keras launch --workers=2 -- train --config.devices=2 --stage=student

Starts the command behind -- in --workers processes. Each has a TF_CONFIG that
names all of them, as if they ran on several machines. Worker 0 shows its
progress as usual; lines of worker 1 begin with [worker 1]. When one fails, the
others are ended and its exit code is returned.

This is for trying out. It is slower than one process, and the processes use the
CPU alone. On one machine with several GPUs, kd-keras train uses all of them by
itself. On several machines, see the guide "Many GPUs, many machines".
"""

from kd_keras.utils import interruption

if __name__ == "__main__":
    # Before the imports that take time.
    interruption.exit_at_once()

import os
import sys

from absl import flags

from kd_keras.utils import command_line, local_workers, suggestions, tf_config

flags.declare_key_flag("debug")
_MOST_WORKERS = 64
_WORKERS = flags.DEFINE_integer(
    "workers",
    2,
    "Processes to start.",
    lower_bound=1,
    upper_bound=_MOST_WORKERS,
)
# The commands that read TF_CONFIG.
_COMMANDS = ("train",)
_HELP = ("-h", "--help", "-?")


def main(command):
    if not command:
        raise ValueError(
            "launch must be given a command behind --: kd-keras launch "
            "--workers=2 -- train --config=mnist. Received: "
            f"{'no --' if command is None else 'nothing behind --'}"
        )
    suggestions.check_choice(
        command[0], _COMMANDS, what="the command behind --"
    )
    if tf_config.VARIABLE in os.environ:
        raise ValueError(
            "launch sets TF_CONFIG itself: unset it, or start the command "
            "without launch, once on each machine of TF_CONFIG. Received: "
            f"TF_CONFIG={os.environ[tf_config.VARIABLE]}"
        )
    code = local_workers.run(
        [sys.executable, "-m", "kd_keras", *command],
        _WORKERS.value,
        # The processes cannot share a GPU.
        environment={"CUDA_VISIBLE_DEVICES": "-1"},
    )
    sys.exit(code)


def cli():
    """Runs the command with the arguments of the command line."""
    sys.argv, command = _divided(sys.argv)

    def run():
        main(command)

    command_line.run(run)


def _divided(argv):
    """Divides the arguments at `--`: launch's own, and the command's."""
    if "--" in argv:
        place = argv.index("--")
        return argv[:place], argv[place + 1 :]
    # Flags of the command would be taken for unknown ones of launch.
    asked = [flag for flag in argv[1:] if flag.startswith(_HELP)]
    return [argv[0], *asked], None


if __name__ == "__main__":
    cli()

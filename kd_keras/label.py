"""Stores what the teacher says of every view, to distil many times from.

Writes <workdir>/store/: the teacher's logits for config.store.views views of
each training example. A student trained with --config.store.path=DIR, where
DIR is that directory, does not load the teacher, and may be trained again and
again: with other networks, losses, temperatures, learning rates.

Examples:
  python -m kd_keras.label --config=cifar10
  python -m kd_keras.label --config=cifar10 --config.store.views=4
  python -m kd_keras.label --config=cifar10 --shard=0 --num_shards=2

The same command goes on after an interruption. Several processes, on as many
machines or GPUs as share the directory, may each do a part: give all the same
--num_shards, and each its own --shard from 0; the last one finishes the store.
--help-config shows every field of the configuration.
"""

from absl import flags

from kd_keras import config as config_lib
from kd_keras.config import run_flags
from kd_keras.utils import command_line, quiet

flags.adopt_module_key_flags(command_line)
flags.adopt_module_key_flags(run_flags)
_SHARD = flags.DEFINE_integer("shard", 0, "Which of the processes this is.")
_NUM_SHARDS = flags.DEFINE_integer(
    "num_shards", 1, "How many processes write the store together."
)


def main():
    config = run_flags.CONFIG.value
    config_lib.validate(config)

    with quiet.without_messages():
        from kd_keras.training import stages

    path, finished = stages.label(
        config,
        workdir=run_flags.workdir(),
        savedmodels=run_flags.SAVEDMODELS.value,
        shard=_SHARD.value,
        num_shards=_NUM_SHARDS.value,
    )
    if finished:
        print(f"{path} is finished; use it with --config.store.path={path}")
    else:
        print(f"{path}: this part is finished, others are not yet")


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main, default_config=run_flags.DEFAULT_CONFIG)


if __name__ == "__main__":
    cli()

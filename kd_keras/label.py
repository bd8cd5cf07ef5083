"""Stores what the teacher says of every view, to distil many times from.

Writes <workdir>/store/: the teacher's logits for config.store.views views of
each training example. A student trained with --config.store.path=DIR, where
DIR is that directory, does not load the teacher, and may be trained again and
again: with other networks, losses, temperatures, learning rates.

Examples:
  python -m kd_keras.label --config=configs/cifar10.py
  python -m kd_keras.label --config=configs/cifar10.py --config.store.views=4
  python -m kd_keras.label --config=configs/cifar10.py --shard=0 --num_shards=2

The same command goes on after an interruption. Several processes, on as many
machines or GPUs as share the directory, may each do a part: give all the same
--num_shards, and each its own --shard from 0; the last one finishes the store.
kd_keras/config.py documents every field of the configuration.
"""

from absl import flags

from kd_keras import commandline, quiet, runflags
from kd_keras import config as config_lib

flags.adopt_module_key_flags(commandline)
flags.adopt_module_key_flags(runflags)
_SHARD = flags.DEFINE_integer("shard", 0, "Which of the processes this is.")
_NUM_SHARDS = flags.DEFINE_integer(
    "num_shards", 1, "How many processes write the store together."
)


def main():
    config = runflags.CONFIG.value
    config_lib.validate(config)

    with quiet.without_messages():
        from kd_keras import stages

    path, finished = stages.label(
        config,
        workdir=runflags.workdir(),
        savedmodels=runflags.SAVEDMODELS.value,
        shard=_SHARD.value,
        num_shards=_NUM_SHARDS.value,
    )
    if finished:
        print(f"{path} is finished; use it with --config.store.path={path}")
    else:
        print(f"{path}: this part is finished, others are not yet")


def cli():
    """Runs the command with the arguments of the command line."""
    commandline.run(main, default_config=runflags.DEFAULT_CONFIG)


if __name__ == "__main__":
    cli()

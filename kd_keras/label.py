"""Stores a teacher's predictions, to train many students from them.

Writes <workdir>/store/: the teacher's logits for config.store.views views of
each training example. A student that is trained with --config.store.path=DIR,
where DIR is that directory, does not load the teacher. Networks, losses,
temperatures and learning rates may differ from student to student.

Examples:
  kd-keras label --config=cifar10
  kd-keras label --config=cifar10 --config.store.views=4
  kd-keras label --config=cifar10 --shard=0 --num_shards=2
  kd-keras label --config=cifar10 --from=predictions.npz

--from stores predictions that were made elsewhere, such as those of an API, by
the ids or the file names of the images, from a .npy, .npz or Parquet file.

After an interruption, the same command resumes. Several processes, on machines
or GPUs that share the directory, can write parts of one store: give all of
them the same --num_shards, and each its own --shard from 0. The last one
finishes the store. --help-config shows every field of the configuration.
"""

from kd_keras.utils import interruption

if __name__ == "__main__":
    # Before the imports that take time.
    interruption.exit_at_once()

from absl import flags

from kd_keras.config import run_flags
from kd_keras.utils import command_line

flags.adopt_module_key_flags(command_line)
flags.adopt_module_key_flags(run_flags)
_SHARD = flags.DEFINE_integer(
    "shard",
    0,
    "The index of this process, from 0.",
    lower_bound=0,
    upper_bound=9999,
)
_NUM_SHARDS = flags.DEFINE_integer(
    "num_shards",
    1,
    "How many processes write the store together.",
    lower_bound=1,
    upper_bound=10_000,
)
_FROM = flags.DEFINE_string(
    "from",
    "",
    "A .npy, .npz or Parquet file of predictions that were made elsewhere, to "
    "store instead of a teacher's.",
)


def main():
    config = run_flags.config()

    with command_line.importing():
        from kd_keras.training import runs

    path, finished = runs.label(
        config,
        workdir=run_flags.workdir(config),
        savedmodels=run_flags.SAVEDMODELS.value,
        predictions=_FROM.value,
        shard=_SHARD.value,
        num_shards=_NUM_SHARDS.value,
    )
    if finished:
        print(f"{path} is finished; use it with --config.store.path={path}")
    else:
        print(f"{path}: this part is finished, others are not yet")


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()

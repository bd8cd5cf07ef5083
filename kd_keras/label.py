"""Stores a teacher's predictions, to train many students from them.

Writes <workdir>/store/: the teacher's logits for config.store.views views of
each training example. A student that is trained with --config.store.path=DIR,
where DIR is that directory, does not load the teacher. Networks, losses,
temperatures and learning rates may differ from student to student.

--workdir may be at gs://, s3:// or az://: each file of the store is uploaded
when it is finished, and not kept on this machine.

Examples:
  kd-keras label --config=cifar10
  kd-keras label --config=cifar10 --config.store.views=4
  kd-keras label --config=cifar10 --jobs=4
  kd-keras label --config=cifar10 --task=7
  kd-keras label --config=cifar10 --engine=ray --ray_address=head:6379
  kd-keras label --config=cifar10 --from=predictions.npz

--from stores predictions that were made elsewhere, such as by an API, from a
.npy, .npz or Parquet file with the ids or the file names of the images.

After an interruption, the same command resumes. Each file of a store is a task
that any process can do, in any order, with the same bytes:

  --jobs        runs this many processes on this machine
  --engine=ray  runs them on the machines of a Ray cluster, or on this one
  --task        does one task, numbered from 0, for job arrays of Slurm and
                indexed jobs of Kubernetes; --count_tasks prints how many
                there are
  --shard       does one of --num_shards equal parts of the tasks

Machines must share the directory. Whoever does the last task finishes the
store. --help-config shows every field of the configuration.
"""

from kd_keras.utils import interruption

if __name__ == "__main__":
    # Before the imports that take time.
    interruption.exit_at_once()

import json
import os

from absl import flags

from kd_keras.config import run_flags
from kd_keras.training import engines, label_inputs
from kd_keras.utils import command_line, suggestions

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
_JOBS = flags.DEFINE_integer(
    "jobs",
    None,
    "How many processes label at once. By default one; with --engine=ray one "
    "on each GPU of the cluster, or on each machine where there is none.",
    lower_bound=1,
    upper_bound=10_000,
)
_TASK = flags.DEFINE_integer(
    "task", None, "Do this task alone, numbered from 0.", lower_bound=0
)
_COUNT_TASKS = flags.DEFINE_bool(
    "count_tasks", False, "Print the number of tasks, and write nothing."
)
_ENGINE = flags.DEFINE_string(
    "engine",
    "local",
    f"Who runs the processes: {' or '.join(engines.ENGINES)}.",
)
_RAY_ADDRESS = flags.DEFINE_string(
    "ray_address",
    "",
    "The head of a Ray cluster, host:port (default: RAY_ADDRESS, or a Ray of "
    "this machine alone that ends with the command).",
)


def main():
    _check_flags()
    config = run_flags.config()
    places = {
        "workdir": run_flags.workdir(config),
        "savedmodels": run_flags.SAVEDMODELS.value,
        "predictions": _FROM.value,
    }
    # Before TensorFlow is imported, which takes seconds.
    label_inputs.check(config, **places)
    if _ENGINE.value != "local" or (_JOBS.value or 1) > 1:
        path, left = _label_with_workers(config, places)
    else:
        path, left = _label_here(config, places)
    if left is None:
        return
    if left:
        tasks = "1 task is" if left == 1 else f"{left} tasks are"
        print(
            f"{path}: this part is finished, others are not yet: {tasks} left"
        )
    else:
        print(f"{path} is finished; use it with --config.store.path={path}")


def _label_with_workers(config, places):
    """Labels in several processes: the store's path and the tasks left."""
    work = {
        **places,
        "config": json.loads(config.copy_and_resolve_references().to_json()),
        "shard": _SHARD.value,
        "num_shards": _NUM_SHARDS.value,
        "directory": os.getcwd(),
        "import": command_line.imported(),
    }
    return engines.label(
        _ENGINE.value, work, jobs=_JOBS.value or 0, address=_RAY_ADDRESS.value
    )


def _label_here(config, places):
    """As `_label_with_workers`, in this process, or only counts the tasks."""
    with command_line.importing():
        from kd_keras.training import label_jobs

    with label_jobs.opened(config, **places) as job:
        if _COUNT_TASKS.value:
            print(job.num_tasks)
            return job.shown, None
        if _TASK.value is not None:
            job.run(_TASK.value)
            return job.shown, job.finish()
        shards = {"shard": _SHARD.value, "num_shards": _NUM_SHARDS.value}
        finished = job.write(**shards)
        return job.shown, 0 if finished else job.count_left()


def _check_flags():
    """Raises a ValueError if flags do not go together."""
    suggestions.check_choice(_ENGINE.value, engines.ENGINES, what="--engine")
    label_inputs.check_shard(_SHARD.value, _NUM_SHARDS.value)
    if _RAY_ADDRESS.value and _ENGINE.value != "ray":
        raise ValueError(
            "--ray_address needs --engine=ray. Received: "
            f"--engine={_ENGINE.value}"
        )
    one = "--task" if _TASK.value is not None else "--count_tasks"
    if _TASK.value is None and not _COUNT_TASKS.value:
        return
    others = {
        "--jobs": (_JOBS.value or 1) > 1,
        "--engine": _ENGINE.value != "local",
        "--num_shards": _NUM_SHARDS.value > 1,
        "--count_tasks": one == "--task" and _COUNT_TASKS.value,
    }
    for name in (name for name, is_set in others.items() if is_set):
        raise ValueError(f"{one} is of one process. Received: {one} and {name}")


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()

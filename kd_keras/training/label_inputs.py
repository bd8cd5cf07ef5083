"""Checks the inputs of a labelling.

Imports no TensorFlow, so that `kd-keras label` refuses mistakes at once.
"""

import os

from kd_keras.training import teacher_paths
from kd_keras.utils import remote


def check(config, *, workdir, savedmodels, predictions):
    """Checks the teacher or the predictions, unless they are remote.

    Args:
        config: as of `runs.label`.
        workdir: as of `runs.label`.
        savedmodels: as of `runs.label`.
        predictions: as of `runs.label`.

    Raises:
        ValueError: if one does not exist, they do not go together,
            `workdir` has a scheme that is not understood, or `store.path` is
            another directory than the one that is written.
    """
    remote.check(workdir, "--workdir")
    _check_store(config.store.path, workdir)
    if predictions:
        check_teacher_is_unset(config)
        if not remote.is_remote(predictions) and not os.path.exists(
            predictions
        ):
            raise ValueError(
                f"--from must be a file. Received: {predictions}, which does "
                "not exist"
            )
        return
    teacher_paths.check(config, savedmodels)


def _check_store(path, workdir):
    """Raises a ValueError if `store.path` is of another store."""
    written = os.path.join(workdir, "store")
    if path in ("", "auto", written) or (
        not remote.is_remote(path)
        and os.path.realpath(path) == os.path.realpath(written)
    ):
        return
    raise ValueError(
        "kd-keras label writes <workdir>/store, and a student reads "
        "store.path: set --workdir, and leave store.path out. Received: "
        f"store.path={path}, and {written} to be written"
    )


def check_teacher_is_unset(config):
    """Raises a ValueError if a teacher is given besides predictions.

    Args:
        config: the configuration.
    """
    fields = config.teacher
    for name, unset in (("path", ""), ("preprocess", "none")):
        if fields[name] != unset:
            raise ValueError(
                "--from stores predictions of a teacher that is not loaded: "
                f"leave teacher.{name} out. Received: {fields[name]!r}"
            )


def check_shard(shard, num_shards):
    """Raises a ValueError if there is no such part of the tasks.

    Args:
        shard: int, the index of the part.
        num_shards: int, how many there are.
    """
    if not 0 <= shard < num_shards:
        raise ValueError(
            f"--shard must be from 0 to {num_shards - 1}, as --num_shards is "
            f"{num_shards}. Received: --shard={shard}"
        )

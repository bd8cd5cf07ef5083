"""Saves and restores the state of a training."""

import logging
import pathlib
import re
import shutil
import typing

import numpy as np
import tensorflow as tf

from kd_keras.distillation import replicas
from kd_keras.training import cluster
from kd_keras.utils import files, scratch

_KEPT = 2
_NAME = "ckpt"
_POSITION = r"(\d+)(?:-(\d+))?"
# A state's files, with its position. The others are the list of states of
# version 0.1, and files that its killed processes left.
_OLD_FILE = re.compile(
    rf"{_NAME}-{_POSITION}\.(?:index|data-\S+)|checkpoint(?:\.tmp.*)?"
)
_OLD_FOLDER = re.compile(rf"{_NAME}-{_POSITION}_temp")
_INDEX = re.compile(rf"{_NAME}-{_POSITION}\.index")
_log = logging.getLogger(__name__)


class Position(typing.NamedTuple):
    """A position in a training, between two steps.

    Attributes:
        epochs: int, the epochs that are finished.
        steps: int, the steps of the next epoch that are finished.
    """

    epochs: int
    steps: int = 0

    def __str__(self):
        step = f", step {self.steps}" if self.steps else ""
        return f"after epoch {self.epochs}{step}"


class Checkpoints:
    """The state of a training after each epoch, or within one.

    The state holds every variable of the network, of the optimizer and of the
    training itself (such as projections of features), each by its position.
    It includes the states of random generators, which Keras leaves out of its
    own files. On several replicas it also holds the variables that differ
    between them, and within an epoch the sums of the metrics. With several
    workers the chief writes it, and all read it.

    Args:
        directory: path.
        model: `ExactTrainer`, with a built optimizer.

    Attributes:
        seconds: float, the time of the finished steps of the epoch that
            `restore` entered.
    """

    def __init__(self, directory, model):
        self._directory = pathlib.Path(directory)
        self._strategy = model.distribute_strategy
        network, optimizer = model.network, model.optimizer
        self._whole = {
            "network": [v.value for v in network.variables],
            "optimizer": [v.value for v in optimizer.variables],
        }
        # Earlier versions had none; their checkpoints lack the key.
        if model.own_variables:
            self._whole["own"] = [v.value for v in model.own_variables]
        # Each replica has moving averages of BatchNorm of its own.
        self._unequal = _Copies(
            self._strategy, network.non_trainable_variables, first=1
        )
        self._metrics = _Copies(self._strategy, model.metrics_variables)
        self._seconds = tf.Variable(0.0, dtype=tf.float64)

    @property
    def seconds(self):
        return float(self._seconds)

    def restore(self):
        """Restores the last state that is whole.

        Training from an earlier state leads to the same weights.

        Returns:
            `Position` of the state; (0, 0) if none was saved.

        Raises:
            ValueError: if states were saved and none of them is whole.
        """
        damaged = []
        saved = saved_positions(self._directory)
        for position in reversed(saved):
            path = self._path(position)
            names = _names_if_whole(path)
            if names is None:
                damaged.append(path)
                continue
            if damaged:
                _log.warning("%s is damaged; takes %s", damaged[0], path)
            self._restore(path, names)
            if cluster.is_chief(self._strategy):
                self._remove_others()
            return position
        # Version 0.1 could leave half of its first state when it was killed.
        if damaged and saved != [Position(1)]:
            raise ValueError(
                "a run resumes from a checkpoint that is whole. Received: "
                f"{', '.join(map(str, damaged))}, damaged; start over with "
                "--restart, or take another --workdir"
            )
        if damaged or any(self._directory.glob(f"{_NAME}-*.data-*")):
            _log.warning(
                "%s holds no checkpoint that is whole; trains from the start",
                self._directory,
            )
        return Position(0)

    def restore_metrics(self):
        """Restores the metrics' sums over the steps before the position."""
        self._metrics.give_back()

    def save(self, position, *, seconds=0.0):
        """Saves the state, and removes older ones; all workers must call it.

        Args:
            position: `Position`.
            seconds: float, the time of the steps of an unfinished epoch.
        """
        self._unequal.take()
        if position.steps:
            self._metrics.take()
        if not cluster.is_chief(self._strategy):
            return
        self._seconds.assign(seconds)
        parts = {"replicas", "epoch"} if position.steps else {"replicas"}
        # The index comes after the data: without one there is no checkpoint.
        with files.adding_files(self._directory) as new:
            self._checkpoint(parts).write(str(new / self._path(position).name))
        self._remove_others()

    def _checkpoint(self, parts):
        """A `tf.train.Checkpoint` with some of the optional parts.

        Checkpoints of earlier versions have none. With one replica,
        `replicas` is left out.
        """
        optional = {
            "replicas": self._unequal.copies,
            "epoch": [self._seconds, *self._metrics.copies],
        }
        chosen = {part: optional[part] for part in parts if optional[part]}
        checkpoint = tf.train.Checkpoint(**self._whole, **chosen)
        # Part of the checkpoints of earlier versions; made when first read.
        _ = checkpoint.save_counter
        return checkpoint

    def _path(self, position):
        steps = f"-{position.steps}" if position.steps else ""
        return self._directory / f"{_NAME}-{position.epochs}{steps}"

    def _restore(self, path, names):
        parts = {"replicas", "epoch"} & {name.split("/")[0] for name in names}
        try:
            with scratch.literal(path.parent) as directory:
                status = self._checkpoint(parts).restore(
                    str(directory / path.name)
                )
                status.assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise ValueError(
                "a checkpoint must hold the state of this run's network. "
                f"Received: {path}, another network's; start over with "
                "--restart, or take another --workdir"
            ) from error
        if "replicas" in parts:
            self._unequal.give_back()

    def _remove_others(self):
        """Removes all older states, and files of killed processes."""
        scratch.clear(self._directory)
        kept = saved_positions(self._directory)[-_KEPT:]
        for path in list(self._directory.iterdir()):
            match = _OLD_FILE.fullmatch(path.name)
            if match and (not match[1] or _position(match) not in kept):
                path.unlink()
            elif _OLD_FOLDER.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)


class _Copies:
    """Copies of the variables of all replicas, also of other workers.

    TensorFlow saves only the sum, or the first replica's value, of a variable
    that differs between replicas.

    Args:
        strategy: `tf.distribute.Strategy` that the variables were made in.
        variables: list of `keras.Variable`.
        first: int, the first replica whose variables are copied.
    """

    def __init__(self, strategy, variables, *, first=0):
        self._strategy = strategy
        # For each variable, its copies on this worker's replicas.
        self._local = [
            replicas.local_variables(strategy, [variable])
            for variable in variables
        ]
        self._chosen = range(first, strategy.num_replicas_in_sync)
        self.copies = [
            tf.Variable(local[0]) for local in self._local for _ in self._chosen
        ]

    def take(self):
        """Copies the values of all workers, which all must call this."""
        if not self.copies:
            return
        mine = b"".join(
            variable.numpy().tobytes()
            for local in self._local
            for variable in local
        )
        everybody = cluster.gather(self._strategy, mine)
        copies = iter(self.copies)
        start = 0
        for local in self._local:
            array = local[0].numpy()
            end = start + array.nbytes * len(local)
            values = np.frombuffer(
                b"".join(data[start:end] for data in everybody), array.dtype
            ).reshape(-1, *array.shape)
            for replica in self._chosen:
                next(copies).assign(values[replica])
            start = end

    def give_back(self):
        """Assigns the copies to the variables of this worker's replicas."""
        copies = iter(self.copies)
        for local in self._local:
            before = cluster.index(self._strategy) * len(local)
            for replica in self._chosen:
                copy = next(copies)
                if before <= replica < before + len(local):
                    local[replica - before].assign(copy)


def saved_positions(directory):
    """The states in a directory: sorted list of their `Position`s."""
    found = map(_INDEX.fullmatch, (path.name for path in directory.glob("*")))
    return sorted(_position(match) for match in found if match)


def _position(match):
    return Position(int(match[1]), int(match[2] or 0))


def _names_if_whole(path):
    """The names of a checkpoint's tensors if each can be read, or None.

    TensorFlow compares each with its checksum. It raises errors of many
    kinds on damaged bytes.
    """
    try:
        with scratch.literal(path.parent) as directory:
            reader = tf.train.load_checkpoint(str(directory / path.name))
            names = list(reader.get_variable_to_shape_map())
            for name in names:
                reader.get_tensor(name)
    except Exception:
        return None
    return names

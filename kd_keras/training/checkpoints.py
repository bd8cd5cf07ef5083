"""Saves and restores the state of a training."""

import logging
import pathlib
import re
import shutil

import tensorflow as tf

from kd_keras.utils import files, scratch

_KEPT = 2
_NAME = "ckpt"
# A state's files, with the number of its epochs. The others are the list of
# states of version 0.1, and what its killed processes left.
_OLD_FILE = re.compile(
    rf"{_NAME}-(\d+)\.(?:index|data-\S+)|checkpoint(?:\.tmp.*)?"
)
_OLD_FOLDER = re.compile(rf"{_NAME}-\d+_temp")
_log = logging.getLogger(__name__)


class Checkpoints:
    """A network's and its optimizer's state after each epoch.

    Holds every variable by its position, including the states of random
    generators, which Keras leaves out of its own files.

    Args:
        directory: path.
        network: Keras model.
        optimizer: built Keras optimizer.
    """

    def __init__(self, directory, network, optimizer):
        self._directory = pathlib.Path(directory)
        self._checkpoint = tf.train.Checkpoint(
            network=[v.value for v in network.variables],
            optimizer=[v.value for v in optimizer.variables],
        )
        # Part of the checkpoints of earlier versions; made when first read.
        _ = self._checkpoint.save_counter

    def restore(self):
        """Restores the last state that is whole.

        Training from an earlier state leads to the same weights.

        Returns:
            int, the number of epochs that the state follows; 0 where none
            was saved.

        Raises:
            ValueError: if states were saved and none of them is whole.
        """
        damaged = []
        saved = saved_epochs(self._directory)
        for epochs in reversed(saved):
            path = self._path(epochs)
            if not _is_whole(path):
                damaged.append(path)
                continue
            if damaged:
                _log.warning("%s is damaged; takes %s", damaged[0], path)
            self._restore(path)
            self._remove_others()
            return epochs
        # Version 0.1 could leave half of its first state when it was killed.
        if damaged and saved[-1] > 1:
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
        return 0

    def save(self, epochs):
        """Saves the state after that many epochs, and removes older ones."""
        # The index comes after the data: without one there is no checkpoint.
        with files.adding_files(self._directory) as new:
            self._checkpoint.write(str(new / f"{_NAME}-{epochs}"))
        self._remove_others()

    def _path(self, epochs):
        return self._directory / f"{_NAME}-{epochs}"

    def _restore(self, path):
        try:
            with scratch.literal(path.parent) as directory:
                status = self._checkpoint.restore(str(directory / path.name))
                status.assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise ValueError(
                "a checkpoint must hold the state of this run's network. "
                f"Received: {path}, another network's; start over with "
                "--restart, or take another --workdir"
            ) from error

    def _remove_others(self):
        """Removes all older states, and files of killed processes."""
        scratch.clear(self._directory)
        kept = saved_epochs(self._directory)[-_KEPT:]
        for path in list(self._directory.iterdir()):
            match = _OLD_FILE.fullmatch(path.name)
            if match and (not match[1] or int(match[1]) not in kept):
                path.unlink()
            elif _OLD_FOLDER.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)


def saved_epochs(directory):
    """The states in a directory: sorted list of the epochs they follow."""
    pattern = re.compile(rf"{_NAME}-(\d+)\.index")
    found = map(pattern.fullmatch, (path.name for path in directory.glob("*")))
    return sorted(int(match[1]) for match in found if match)


def _is_whole(path):
    """Whether every tensor of a checkpoint can be read.

    TensorFlow compares each with its checksum. It raises errors of many
    kinds on damaged bytes.
    """
    try:
        with scratch.literal(path.parent) as directory:
            reader = tf.train.load_checkpoint(str(directory / path.name))
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
    except Exception:
        return False
    return True

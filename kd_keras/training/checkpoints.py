"""Saves and restores the state of a training."""

import logging
import pathlib
import re

import tensorflow as tf

from kd_keras.utils import files

_KEPT = 2
_NAME = "ckpt"
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
        self._saved = _saved_epochs(self._directory)
        self._write_list()
        self._manager = tf.train.CheckpointManager(
            self._checkpoint,
            str(directory),
            max_to_keep=_KEPT,
            checkpoint_name=_NAME,
        )

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
        for epochs in reversed(self._saved):
            path = self._path(epochs)
            if not _is_whole(path):
                damaged.append(path)
                continue
            if damaged:
                _log.warning("%s is damaged; takes %s", damaged[0], path)
            self._restore(path)
            return epochs
        # A process that was killed at its first state may leave half of it.
        if damaged and self._saved[-1] > 1:
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
        """Saves the state after that many epochs."""
        self._manager.save(checkpoint_number=epochs)

    def _path(self, epochs):
        return self._directory / f"{_NAME}-{epochs}"

    def _restore(self, path):
        try:
            self._checkpoint.restore(str(path)).assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise ValueError(
                "a checkpoint must hold the state of this run's network. "
                f"Received: {path}, another network's; start over with "
                "--restart, or take another --workdir"
            ) from error

    def _write_list(self):
        """Lists the saved states in the file `checkpoint`, which may be lost.

        The manager reads it and removes the states that it lists.
        """
        if not self._saved:
            return
        names = [self._path(epochs).name for epochs in self._saved]
        lines = [f'model_checkpoint_path: "{names[-1]}"']
        for name in names:
            # It does not manage a state without a time.
            saved = (self._directory / f"{name}.index").stat().st_mtime
            lines.append(f'all_model_checkpoint_paths: "{name}"')
            lines.append(f"all_model_checkpoint_timestamps: {saved}")
        files.write_text(
            self._directory / "checkpoint", "\n".join(lines) + "\n"
        )


def _saved_epochs(directory):
    """The numbers of the states in a directory, which have an index."""
    pattern = re.compile(rf"{_NAME}-(\d+)\.index")
    found = map(pattern.fullmatch, (path.name for path in directory.glob("*")))
    return sorted(int(match[1]) for match in found if match)


def _is_whole(path):
    """Whether every tensor of a checkpoint can be read.

    TensorFlow compares each with its checksum. It raises errors of many
    kinds on damaged bytes.
    """
    try:
        reader = tf.train.load_checkpoint(str(path))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception:
        return False
    return True

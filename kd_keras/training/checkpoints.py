"""Saves and restores the state of a training."""

import tensorflow as tf

_KEPT = 2


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
        checkpoint = tf.train.Checkpoint(
            network=[v.value for v in network.variables],
            optimizer=[v.value for v in optimizer.variables],
        )
        self._manager = tf.train.CheckpointManager(
            checkpoint, str(directory), max_to_keep=_KEPT
        )

    def restore(self):
        """Restores the last state; returns the number of epochs it follows."""
        path = self._manager.latest_checkpoint
        if path is None:
            return 0
        self._manager.checkpoint.restore(path).assert_consumed()
        return int(path.rpartition("-")[2])

    def save(self, epochs):
        """Saves the state after that many epochs."""
        self._manager.save(checkpoint_number=epochs)

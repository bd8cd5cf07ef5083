"""Teachers that are Python functions, in TensorFlow or in another runtime."""

import logging

import numpy as np
import tensorflow as tf

from kd_keras.data import python_ops
from kd_keras.models import interface
from kd_keras.utils import graph_checks

# The text of a check in the graph; its numbers follow.
WRONG_BATCH = "the teacher must return logits for each image of a batch"
_log = logging.getLogger(__name__)


class NoLogits(ValueError):
    """A teacher that raises, or returns something else than logits."""


class PlainFunction:
    """A function images -> logits as a teacher.

    A function of TensorFlow becomes a part of the training step's graph. One
    that takes no symbolic tensors, because it computes with NumPy, ONNX
    Runtime or PyTorch, is called with arrays at each step, which is slower
    and excludes XLA.

    Args:
        function: function of a batch of images, or of a structure of such
            tensors -> logits `(batch, num_classes)` of any number type, or a
            dict, list or tuple of outputs.
        output: str or int, the output that has the logits; None for the only
            one.
        takes_arrays: bool, True for a function that is known to compute
            outside of TensorFlow.

    Attributes:
        takes_arrays: bool; of other functions it is known after a call.
    """

    def __init__(self, function, output=None, *, takes_arrays=False):
        self._function = function
        self._output = output
        self._num_classes = None
        self.takes_arrays = takes_arrays

    def __call__(self, images):
        """Computes the logits of a batch: a tensor `(batch, num_classes)`.

        Raises:
            ValueError: if the function raises, or returns no logits.
        """
        if not self.takes_arrays:
            try:
                return self._with_tensors(images)
            except NoLogits:
                raise
            except Exception as error:
                _log.warning(
                    "the teacher takes no symbolic tensors, so it is called "
                    "with arrays outside of TensorFlow, which is slower: %s",
                    _one_line(error),
                )
                self.takes_arrays = True
        flat = tf.nest.flatten(images)
        if tf.executing_eagerly():
            return tf.constant(self._with_arrays(images, *_arrays(flat)))
        logits = python_ops.numpy_function(
            lambda *arrays: self._with_arrays(images, *arrays),
            flat,
            tf.float32,
        )
        logits.set_shape((flat[0].shape[0], None))
        return logits

    def _with_tensors(self, images):
        logits = tf.convert_to_tensor(self._logits_of(self._function(images)))
        if logits.shape.rank not in (None, 2):
            raise NoLogits(_wrong(logits.shape, logits.dtype.name, "any"))
        size, count = (
            tf.shape(x)[0] for x in (logits, tf.nest.flatten(images)[0])
        )
        return graph_checks.checked(
            logits, size == count, WRONG_BATCH, size, count
        )

    def _with_arrays(self, images, *arrays):
        count = len(arrays[0])
        if not count:
            # A replica's part of a ragged batch may be empty.
            return np.zeros((0, self._num_classes or 0), "float32")
        logits = np.asarray(self._logits_of(self._call(images, arrays)))
        if (
            logits.ndim != 2
            or len(logits) != count
            or logits.dtype.kind not in "fiu"
            or self._num_classes not in (None, logits.shape[1])
        ):
            raise NoLogits(_wrong(logits.shape, logits.dtype, count))
        self._num_classes = logits.shape[1]
        return np.ascontiguousarray(logits, "float32")

    def _call(self, images, arrays):
        def call(flat):
            return self._function(tf.nest.pack_sequence_as(images, flat))

        try:
            try:
                return call(arrays)
            except AttributeError as error:
                if error.name != "numpy":
                    raise
                # The function calls `images.numpy()` itself.
                return call([tf.constant(array) for array in arrays])
        except Exception as error:
            raise NoLogits(
                "the teacher must be a function of a batch of images. "
                f"Received: one that raised {_one_line(error)}"
            ) from error

    def _logits_of(self, outputs):
        try:
            return interface.logits_of(
                None,
                outputs,
                self._output,
                role="teacher",
                option="teacher_output",
            )
        except ValueError as error:
            raise NoLogits(str(error)) from None


def _arrays(tensors):
    return [np.asarray(tensor) for tensor in tensors]


def _wrong(shape, dtype, count):
    return (
        "the teacher must return numbers of shape (batch, num_classes). "
        f"Received: {dtype} of shape {tuple(shape)} for a batch of {count}"
    )


def _one_line(error):
    lines = [line for line in str(error).splitlines() if line.strip()]
    return ": ".join([type(error).__name__, *lines[:1]])

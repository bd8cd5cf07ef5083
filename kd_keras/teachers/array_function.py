"""Calls models of other runtimes, which compute on arrays, in TensorFlow."""

import numpy as np
import tensorflow as tf

from kd_keras.data import python_ops
from kd_keras.teachers import kind


class ArrayFunction:
    """A model on arrays as a function of tensors, also inside a graph.

    Args:
        run: function of an array of images, not empty, -> list of arrays
            `(batch, ...)`.
        shapes: list of the outputs' shapes without the batch, None for any
            size.
        path: str or path of the model, for errors.
    """

    def __init__(self, run, *, shapes, path):
        self._run = run
        self._shapes = [tuple(shape) for shape in shapes]
        self._path = path

    def __call__(self, images):
        """Computes the outputs of a batch.

        Args:
            images: tensor `(batch, height, width, channels)`.

        Returns:
            list of float32 tensors `(batch, ...)` with the known shapes.

        Raises:
            ValueError: if the model raises, or returns other shapes.
        """
        if tf.executing_eagerly():
            return [tf.constant(x) for x in self._outputs(images.numpy())]
        outputs = python_ops.numpy_function(
            self._outputs, [images], [tf.float32] * len(self._shapes)
        )
        for output, shape in zip(outputs, self._shapes):
            output.set_shape((images.shape[0], *shape))
        return outputs

    def _outputs(self, images):
        if not len(images):
            # A replica's part of a ragged batch may be empty.
            sizes = [[size or 0 for size in x] for x in self._shapes]
            return [np.zeros((0, *x), "float32") for x in sizes]
        try:
            outputs = self._run(images)
        except Exception as error:
            raise ValueError(
                f"the teacher {self._path} must take the images. Received: "
                f"images {images.shape} of {images.dtype}, for which it "
                f"raised {kind.first_line(error)}"
            ) from error
        for output, shape in zip(outputs, self._shapes):
            expected = tf.TensorShape([len(images), *shape])
            if not expected.is_compatible_with(output.shape):
                raise ValueError(
                    f"the teacher {self._path} must return {expected} for "
                    f"{len(images)} images. Received: {output.shape}"
                )
        return [np.ascontiguousarray(x, "float32") for x in outputs]

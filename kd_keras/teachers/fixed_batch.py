"""Calls a function of a fixed number of images with any number of images."""

import tensorflow as tf


def of_any_size(function, size, specs):
    """Makes a function of batches of any size.

    Args:
        function: function of a tensor of `size` images -> a structure of
            tensors `(size, ...)`.
        size: int.
        specs: the same structure, with the `tf.TensorSpec` of each result.

    Returns:
        Function of images `(batch, ...)` -> the structure of tensors
        `(batch, ...)`. Images of zeros fill the last batch of `size`.
    """

    def call(images):
        shape = tf.shape(images)
        # One batch at least, so that the shapes of the results are known.
        num_batches = tf.maximum(-(-shape[0] // size), 1)
        missing = num_batches * size - shape[0]
        paddings = [[0, missing], *([[0, 0]] * (images.shape.rank - 1))]
        batches = _reshape(tf.pad(images, paddings), [-1, size], 1)
        results = tf.map_fn(function, batches, fn_output_signature=specs)
        return tf.nest.map_structure(
            lambda x: _reshape(x, [-1], 2)[: shape[0]], results
        )

    return call


def _reshape(tensor, sizes, num_axes):
    """Replaces the first axes of a tensor by axes of other sizes."""
    rest = tf.shape(tensor)[num_axes:]
    result = tf.reshape(tensor, tf.concat([sizes, rest], axis=0))
    static = [None if size == -1 else size for size in sizes]
    return tf.ensure_shape(result, [*static, *tensor.shape[num_axes:]])

"""Checks of values that are known only while a graph runs."""

import tensorflow as tf


def checked(values, holds, text, *numbers):
    """The values, after an operation that fails unless a condition holds.

    Args:
        values: tensor.
        holds: bool tensor.
        text: str, the start of the operation's error.
        *numbers: tensors that the error shows after the text.

    Returns:
        Tensor equal to `values`.
    """
    check = tf.debugging.Assert(holds, [text, *numbers])
    # In eager mode there is no operation to wait for.
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(values)

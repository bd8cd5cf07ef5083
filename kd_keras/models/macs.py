"""Counts the operations of a network."""

import tensorflow as tf

from kd_keras.models import interface


def count_macs(model, image_shape=None):
    """Multiply-accumulates of one forward pass of one example.

    Counts convolutions and matrix products, as the literature does. It reads
    the traced graph, so it works for any Keras model.

    Args:
        model: Keras model.
        image_shape: tuple of ints, the shape of an example, for a model of
            one input that takes several sizes or is not built yet.

    Returns:
        int.

    Raises:
        ValueError: if the size of an example is not known.
    """
    specs, batch_size = _input_specs(model, image_shape)
    graph = (
        tf.function(lambda inputs: model(inputs, training=False))
        .get_concrete_function(specs)
        .graph
    )
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    profile = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
    products = ("Conv", "DepthwiseConv", "MatMul", "BatchMatMul", "Einsum")
    flops = 0
    while profile.children:
        profile = profile.children[0]
        if profile.name.startswith(products):
            flops += profile.float_ops
    return flops // 2 // batch_size


def _input_specs(model, image_shape):
    """The structure of a model's inputs as `tf.TensorSpec`, and its batch."""
    inputs = getattr(model, "inputs", None) or ()
    batch_sizes = {tensor.shape[0] or 1 for tensor in inputs}
    batch_size = batch_sizes.pop() if len(batch_sizes) == 1 else 1
    shapes = interface.input_shape(model)
    if image_shape is not None:
        shapes = (None, *image_shape)
    dtypes = iter([tensor.dtype for tensor in inputs])

    def spec(shape):
        sizes = tuple(shape[1:])
        if None in sizes:
            raise ValueError(
                "the operations are counted for examples of one size: give "
                f"image_shape. Received: a model of inputs {tuple(shape)}"
            )
        return tf.TensorSpec((batch_size, *sizes), next(dtypes, tf.float32))

    if shapes is None:
        raise ValueError(
            "the operations are counted for examples of one size: give "
            "image_shape. Received: a model that is not built"
        )
    return _map_shapes(spec, shapes), batch_size


def _map_shapes(function, shapes):
    """Applies a function to each shape of a structure of tuples."""
    if isinstance(shapes, dict):
        return {k: _map_shapes(function, v) for k, v in shapes.items()}
    if isinstance(shapes, list) or isinstance(shapes[1], (list, tuple)):
        return [_map_shapes(function, shape) for shape in shapes]
    return function(shapes)

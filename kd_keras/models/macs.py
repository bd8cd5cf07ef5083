"""Counts the operations of a network."""

import tensorflow as tf


def count_macs(model):
    """Multiply-accumulates of one forward pass of one example.

    Counts convolutions and matrix products, as the literature does. It reads
    the traced graph, so it works for any Keras model.

    Args:
        model: Keras model of one image input.

    Returns:
        int.
    """
    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    graph = (
        tf.function(lambda images: model(images, training=False))
        .get_concrete_function(spec)
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
    return flops // 2

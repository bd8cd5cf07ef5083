"""Batch normalisation: TensorFlow's fused kernel, and several replicas.

Keras 3 composes it from about a dozen operations, each a pass over memory:
a quarter of a training step of ResNet-8 on a CPU.
"""

import contextlib
import functools

import keras
import tensorflow as tf

from kd_keras.utils import keras_internals

_DTYPES = ("float32", "bfloat16", "float16")
# The smallest epsilon that cuDNN takes.
_GPU_EPSILON = 1.001e-5


@contextlib.contextmanager
def fused(network):
    """Context in which `network(x)` uses the fused kernel.

    Outputs and moving averages are the same up to rounding. Layers that the
    kernel cannot compute are unchanged: inputs of other than 4 axes,
    channels that are not last, several replicas.

    Args:
        network: Keras model. Its BatchNormalization layers are found at any
            depth, and restored at the end.
    """
    layers = []
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        found = keras_internals.all_layers(network)
        layers = [layer for layer in found if _has_kernel(layer)]
    for layer in layers:
        layer.call = functools.partial(_call, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call


def synchronize(network):
    """Lets BatchNormalization compute over the whole batch of all replicas.

    By default, Keras computes over the rows of a replica alone, and the
    averages become NaN where a replica has none.

    Args:
        network: Keras model. The attribute `synchronized` of its layers is
            set, at any depth.
    """
    for layer in keras_internals.all_layers(network):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def _has_kernel(layer):
    return (
        isinstance(layer, keras.layers.BatchNormalization)
        # A subclass may compute something else.
        and type(layer).call is keras.layers.BatchNormalization.call
        # Older Keras does not have it.
        and not getattr(layer, "renorm", False)
        and (
            layer.epsilon >= _GPU_EPSILON
            or not tf.config.list_physical_devices("GPU")
        )
    )


def _call(layer, inputs, training=None, mask=None):
    if (
        mask is not None
        or inputs.shape.rank != 4
        or layer.axis not in (-1, 3)
        or inputs.dtype.name not in _DTYPES
    ):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    channels = layer.moving_mean.shape
    scale = tf.ones(channels) if layer.gamma is None else layer.gamma
    offset = tf.zeros(channels) if layer.beta is None else layer.beta
    training = bool(training and layer.trainable)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.convert_to_tensor(scale),
        offset=tf.convert_to_tensor(offset),
        mean=[] if training else tf.convert_to_tensor(layer.moving_mean),
        variance=[]
        if training
        else tf.convert_to_tensor(layer.moving_variance),
        epsilon=layer.epsilon,
        is_training=training,
    )
    if training:
        _keep_averages(layer, inputs, mean, variance)
    return tf.cast(outputs, layer.compute_dtype)


def _keep_averages(layer, inputs, mean, variance):
    # The kernel returns the unbiased variance; Keras averages the biased one.
    count = tf.cast(tf.size(inputs) / inputs.shape[-1], tf.float32)
    variance *= (count - 1.0) / count
    for moving, current in (
        (layer.moving_mean, mean),
        (layer.moving_variance, variance),
    ):
        moving.assign(
            moving * layer.momentum + current * (1.0 - layer.momentum)
        )

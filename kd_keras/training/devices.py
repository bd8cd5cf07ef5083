"""Chooses the precision and the devices of a training."""

import contextlib
import functools

import keras
import tensorflow as tf

from kd_keras.utils import processor


def resolve_precision(precision):
    """Resolves `auto` to bfloat16 where the processor computes it faster.

    Args:
        precision: str, `config.precision`.

    Returns:
        str, the name of a Keras dtype policy.
    """
    if precision != "auto":
        return precision
    if tf.config.list_physical_devices("GPU"):
        return "float32"
    if processor.is_faster_in_bfloat16():
        return "mixed_bfloat16"
    return "float32"


def teacher_precision(*, is_graph):
    """Resolves `auto` of `config.teacher.precision`.

    Args:
        is_graph: bool, whether TensorFlow computes all of the teacher.

    Returns:
        `bfloat16` where the processor computes it faster, else `float32`.
    """
    is_faster = resolve_precision("auto") == "mixed_bfloat16"
    return "bfloat16" if is_faster and is_graph else "float32"


@functools.cache
def make_strategy(devices):
    """Makes a `MirroredStrategy` for several devices, else the default one.

    Cached: TensorFlow confuses the collectives of two strategies in one
    process.

    Args:
        devices: str, `auto` (all GPUs) or a number of logical CPU devices.

    Raises:
        ValueError: if TensorFlow has started with other logical devices.
    """
    if devices == "auto":
        gpus = tf.config.list_logical_devices("GPU")
        if len(gpus) < 2:
            return tf.distribute.get_strategy()
        return tf.distribute.MirroredStrategy()
    count = int(devices)
    divide_cpu(count)
    if count == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])


def divide_cpu(count):
    """Divides the CPU into logical devices.

    Args:
        count: int.

    Raises:
        ValueError: if TensorFlow has started with other logical devices.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
    except RuntimeError as error:
        running = len(tf.config.list_logical_devices("CPU"))
        if running != count:
            raise ValueError(
                "devices must be set before TensorFlow starts. Received: "
                f"devices={count}, running with {running}"
            ) from error


@contextlib.contextmanager
def precision_policy(name):
    """Sets the dtype policy of the layers that are created inside."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)

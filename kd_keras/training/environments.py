"""The environment that the bits of a training's result depend on."""

import keras
import tensorflow as tf

from kd_keras.utils import provenance, strategies


def current(strategy):
    """The devices, threads and versions of this process.

    Args:
        strategy: `tf.distribute.Strategy` of the training.

    Returns:
        dict of JSON values.
    """
    replicas = strategy.num_replicas_in_sync
    device = tf.config.list_logical_devices()[-1].device_type
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    num_workers = strategies.num_workers(strategy)
    among = f" of {num_workers} workers" if num_workers > 1 else ""
    return {
        "devices": f"{replicas} x {device}{among}",
        "processor": provenance.processor(),
        "threads": threads or provenance.threads(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "kd_keras": provenance.own_version(),
    }


def changes(was, now):
    """The differences of two environments, as text.

    Args:
        was, now: as `current` returns them.

    Returns:
        str, such as `threads 2 (was 4), keras 3.15.1 (was 3.14.0)`; empty
        without differences.
    """
    return ", ".join(
        f"{name} {now[name]} (was {was.get(name)})"
        for name in now
        if was.get(name) != now[name]
    )

"""Options of `tf.data` datasets, and of the functions that they map."""

import tensorflow as tf

# A decorator of functions without control flow on tensors. AutoGraph would
# find nothing to convert in them, and take up to half a second each.
unconverted = tf.autograph.experimental.do_not_convert


def without_autotuning(dataset):
    """A dataset of the same elements, without TensorFlow's autotuning.

    TensorFlow 2.21's autotuning sleeps for 10, 20, 40 ms ... up to 60 s
    between its checks, and an iterator's end may wait until it wakes: every
    `fit` and `evaluate` took up to twice its time. Without autotuning,
    AUTOTUNE means as many parallel calls as the machine has cores, at most 16.

    Args:
        dataset: `tf.data.Dataset`. One that sets `autotune.enabled` itself
            is returned as it is.
    """
    if dataset.options().autotune.enabled is not None:
        return dataset
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)

"""Combines a generalist and its specialists into one prediction: eq. 5."""

import math

import keras
import numpy as np
import tensorflow as tf

from kd_keras.distillation.specialists import dustbin
from kd_keras.models import interface

# The largest change of any log q that ends the iteration for an example, and
# the number of iterations that ends it in any case.
_TOLERANCE = 1e-9
_MAX_ITERATIONS = 1000
_LOG_0 = tf.constant(-math.inf, tf.float64)


def combine(generalist_logits, specialist_logits, class_sets):
    """Combines the predictions of generalist and specialists by eq. 5.

    Finds the q that minimises `KL(p_g, q) + sum_m KL(p_m, q)` over the
    active specialists m, those whose set holds the generalist's top class
    (the paper's k = 1); the q of a dustbin is the sum over its classes. All
    at T = 1.

    The objective is convex in q. Its gradient along the simplex is 0 where

        q_i = (p_g(i) + sum_m r_m(i)) / (1 + number of active specialists)

    with `r_m(i) = p_m(i)` in m's set; outside of it, `r_m` divides m's
    dustbin in proportion to q. Iterating this from `q = p_g` is expectation
    maximisation (the missing data is the class inside the dustbin), so the
    objective falls at every step, to its only minimum, without a step size.
    The paper descends the gradient in q's logits to the same q. With one
    active specialist the first step is exact. The iteration stops for each
    example by itself, so a result does not depend on the batch.

    Args:
        generalist_logits: float tensor `(batch, num_classes)`.
        specialist_logits: list of a float tensor `(batch, len(set) + 1)` for
            each set: its classes in their order, and the dustbin.
        class_sets: list of lists of int.

    Returns:
        float32 tensor `(batch, num_classes)`: log q, which are logits; the
        generalist's log probabilities where no specialist is active.

    Raises:
        ValueError: if a set is empty, leaves nothing to the dustbin, or does
            not fit its logits.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), eq. 5
        - convergence: [Dempster et al., 1977](
          https://doi.org/10.1111/j.2517-6161.1977.tb01600.x)
    """
    generalist_logits = tf.convert_to_tensor(generalist_logits)
    num_classes = generalist_logits.shape[-1]
    # In float32 a change of 1e-9 would be lost.
    log_p_g = tf.nn.log_softmax(tf.cast(generalist_logits, tf.float64))
    log_p = _by_class(specialist_logits, class_sets, num_classes)
    inside = np.zeros((len(class_sets), num_classes), bool)
    for m, classes in enumerate(class_sets):
        inside[m, classes] = True
    active = tf.gather(tf.constant(inside.T), tf.argmax(log_p_g, axis=-1))
    return tf.cast(_fixed_point(log_p_g, log_p, inside, active), tf.float32)


def _by_class(specialist_logits, class_sets, num_classes):
    """Specialists' log probabilities, spread over all classes.

    Returns:
        float64 tensor `(batch, sets, num_classes)`; classes of a dustbin
        have the dustbin's.
    """
    log_p = []
    for logits, classes in zip(specialist_logits, class_sets):
        logits = tf.cast(logits, tf.float64)
        _check_set(classes, num_classes, logits.shape[-1])
        positions = dustbin.positions_in_set(classes, num_classes)
        log_p.append(tf.gather(tf.nn.log_softmax(logits), positions, axis=-1))
    return tf.stack(log_p, axis=1)


def _fixed_point(log_p_g, log_p, inside, active):
    """Iterates the equation of `combine` until log q no longer changes.

    Args:
        log_p_g: float64 tensor `(batch, num_classes)`.
        log_p: float64 tensor `(batch, sets, num_classes)`.
        inside: bool array `(sets, num_classes)`, True in each set.
        active: bool tensor `(batch, sets)`.

    Returns:
        float64 tensor `(batch, num_classes)`.
    """
    log_weights = tf.math.log1p(
        tf.reduce_sum(tf.cast(active, tf.float64), axis=-1, keepdims=True)
    )

    def step(log_q):
        log_q_sets = log_q[:, tf.newaxis]
        log_dustbin = tf.reduce_logsumexp(
            tf.where(inside, _LOG_0, log_q_sets), axis=-1, keepdims=True
        )
        log_r = tf.where(inside, log_p, log_p + log_q_sets - log_dustbin)
        log_r = tf.where(active[..., tf.newaxis], log_r, _LOG_0)
        parts = tf.concat([log_p_g[:, tf.newaxis], log_r], axis=1)
        return tf.reduce_logsumexp(parts, axis=1) - log_weights

    def iterate(log_q, moving):
        following = tf.where(moving, step(log_q), log_q)
        change = tf.reduce_max(
            tf.abs(following - log_q), axis=-1, keepdims=True
        )
        return following, change > _TOLERANCE

    moving = tf.reduce_any(active, axis=-1, keepdims=True)
    log_q, _ = tf.while_loop(
        lambda log_q, moving: tf.reduce_any(moving),
        iterate,
        (log_p_g, moving),
        maximum_iterations=_MAX_ITERATIONS,
    )
    return log_q


def _check_set(classes, num_classes, num_logits):
    if not 0 < len(classes) < num_classes:
        raise ValueError(
            f"a set must hold some of the {num_classes} classes, and leave "
            f"some to the dustbin. Received: {classes}"
        )
    if num_logits != len(classes) + 1:
        raise ValueError(
            "a specialist must have a logit for each class of its set, and "
            f"one for the dustbin. Received: {num_logits} for {classes}"
        )


@keras.saving.register_keras_serializable(package="kd_keras")
class Combination(keras.layers.Layer):
    """`combine` as a layer, without weights.

    It is called with `[generalist's logits, specialist's logits, ...]`, each
    `(batch, num_classes)` over all classes.

    Args:
        class_sets: list of lists of int, one for each specialist.
    """

    def __init__(self, class_sets, **kwargs):
        super().__init__(**kwargs)
        self.class_sets = [list(classes) for classes in class_sets]

    def call(self, inputs):
        generalist_logits, *specialist_logits = inputs
        return combine(
            generalist_logits,
            [
                dustbin.with_dustbin(logits, classes)
                for logits, classes in zip(specialist_logits, self.class_sets)
            ],
            self.class_sets,
        )

    def get_config(self):
        return {**super().get_config(), "class_sets": self.class_sets}


def combined_network(generalist, specialists, class_sets):
    """Builds one network of generalist, specialists and eq. 5.

    All specialists are computed for every image; the predictions of those
    that are not active are ignored.

    Args:
        generalist: Keras model, images -> logits `(batch, num_classes)`
            over all classes. It may have other outputs beside `logits`.
        specialists: list of Keras models, the same.
        class_sets: list of lists of int, one for each specialist.

    Returns:
        Functional `keras.Model`, images -> log q `(batch, num_classes)`. It
        calls the given models, and so has their weights.

    Raises:
        ValueError: if the outputs of a model do not tell which are logits.
    """
    inputs = keras.Input(interface.input_shape(generalist)[1:], name="images")
    named = {"generalist": generalist}
    named |= {f"specialist_{m}": x for m, x in enumerate(specialists)}
    logits = [
        _with_name(network, name)(inputs) for name, network in named.items()
    ]
    outputs = Combination(class_sets, name="logits")(logits)
    return keras.Model(inputs, outputs, name="specialists")


def _with_name(network, name):
    """A model that calls a network, whose own name others may have.

    Networks of one architecture have one name, which Keras refuses.
    """
    images = keras.Input(interface.input_shape(network)[1:])
    logits = interface.logits_of(network, network(images))
    return keras.Model(images, logits, name=name)

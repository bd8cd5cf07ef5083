"""Small networks and teachers that the tests share."""

import keras
import numpy as np
import tensorflow as tf

from kd_keras.distillation import losses

IMAGE_SHAPE = (8, 8, 1)
NUM_CLASSES = 5


def make_network(
    *,
    num_classes=NUM_CLASSES,
    batch_norm=False,
    dropout=0.0,
    regularizer=None,
    units=16,
    convolution=False,
):
    inputs = keras.Input(IMAGE_SHAPE)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    if convolution:
        x = keras.layers.Conv2D(4, 3)(x)
    x = keras.layers.Flatten()(x)
    # Before BatchNorm, a bias would have no gradient but rounding errors.
    x = keras.layers.Dense(
        units, use_bias=not batch_norm, kernel_regularizer=regularizer
    )(x)
    if batch_norm:
        # As users write it: several replicas synchronize it themselves.
        x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU()(x)
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x))


def make_network_with_state(**options):
    """A network with dropout and BatchNorm."""
    return make_network(batch_norm=True, dropout=0.5, **options)


def make_images(count=50, seed=0):
    shape = (count, *IMAGE_SHAPE)
    images = np.random.default_rng(seed).integers(0, 256, shape)
    return images.astype("float32")


def make_labels(count=50, seed=1):
    return np.random.default_rng(seed).integers(0, NUM_CLASSES, count)


def loss_and_gradient(teacher_logits, student_logits, temperature):
    student_logits = tf.constant(student_logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(student_logits)
        loss = losses.distillation_loss(
            teacher_logits=teacher_logits,
            student_logits=student_logits,
            temperature=temperature,
        )
    return loss.numpy(), tape.gradient(loss, student_logits).numpy()


def copy_of(network):
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def assert_same_weights(first, second, **tolerance):
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, **({"rtol": 0, "atol": 0} | tolerance))


def snapshot(network):
    return [np.array(weight) for weight in network.get_weights()]


def moved(network, before):
    return [
        not np.array_equal(a, b) for a, b in zip(network.get_weights(), before)
    ]

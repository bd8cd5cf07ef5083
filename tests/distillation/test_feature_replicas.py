"""Feature losses on two replicas give what one device gives."""

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.distillation import replicas
from kd_keras.training import devices

# Two batches of 16, and one of 1 that leaves a replica without a row.
COUNT, BATCH = 33, 16
MATCHES = [
    kd_keras.FeatureMatch(loss="queue_kl", queue_size=20),
    kd_keras.FeatureMatch(loss="relational", projection="none"),
    kd_keras.FeatureMatch(projection="orthogonal"),
]


def fit(strategy):
    keras.utils.set_random_seed(7)
    images = nets.make_images(COUNT)
    teacher = nets.make_network(units=12)
    with strategy.scope():
        student = nets.make_network(units=8, batch_norm=True)
        distiller = kd_keras.Distiller(student, teacher, features=MATCHES)
        distiller.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    batches = tf.data.Dataset.from_tensor_slices(images).batch(BATCH)
    history = distiller.fit(
        batches, validation_data=batches, epochs=2, shuffle=False, verbose=0
    ).history
    return distiller, {key: values[-1] for key, values in history.items()}


@pytest.mark.slow
def test_two_replicas_equal_one():
    one, expected = fit(tf.distribute.get_strategy())
    two, logs = fit(devices.make_strategy("2"))
    nets.assert_same_weights(two.student, one.student, atol=1e-5)
    for a, b in zip(two.own_variables, one.own_variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)
    locals_of = replicas.local_variables(
        devices.make_strategy("2"), two.own_variables
    )
    # Each replica has the same queue.
    for first, second in zip(locals_of[::2], locals_of[1::2]):
        np.testing.assert_array_equal(first, second)
    assert logs == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert logs["val_feature_loss"] > 0


@pytest.mark.slow
def test_gathered_rows_are_the_batch_in_order_with_its_gradient():
    strategy = devices.make_strategy("2")
    parts = [tf.constant([[1.0], [2.0], [3.0]]), tf.constant([[4.0]])]
    values = strategy.experimental_distribute_values_from_function(
        lambda context: parts[context.replica_id_in_sync_group]
    )

    @tf.function
    def step(part):
        with tf.GradientTape() as tape:
            tape.watch(part)
            rows = replicas.gather(part)
            # Replicas sum their parts of a loss.
            loss = tf.reduce_sum(rows**2) * tf.reduce_sum(part)
        return rows, tape.gradient(loss, part)

    rows, gradients = strategy.run(step, (values,))
    for local in strategy.experimental_local_results(rows):
        np.testing.assert_array_equal(local, [[1.0], [2.0], [3.0], [4.0]])
    # Of (1 + 4 + 9 + 16) (1 + 2 + 3 + 4).
    for part, local in zip(
        parts, strategy.experimental_local_results(gradients)
    ):
        np.testing.assert_allclose(local, 2 * part * 10 + 30)

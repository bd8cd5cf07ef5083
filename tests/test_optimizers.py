"""Schedules by hand, and optimizers that do what the fields say."""

import keras
import nets
import numpy as np
import pytest

from kd_keras import config as config_lib
from kd_keras import optimizers


def fields(**overrides):
    fields = config_lib.default_config().teacher.optimizer
    fields.update(overrides)
    return fields


def rates(steps, **overrides):
    optimizer = optimizers.make_optimizer(
        fields(**overrides), steps_per_epoch=10, epochs=4
    )
    schedule = optimizer._learning_rate
    return [float(schedule(step)) for step in steps]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        # Warm-up over 20 steps to 0.4, then 20 steps of decay.
        ({"schedule": "linear"}, [0.02, 0.4, 0.2, 0.0]),
        ({"schedule": "linear", "final_factor": 0.5}, [0.02, 0.4, 0.3, 0.2]),
        ({"schedule": "cosine"}, [0.02, 0.4, 0.2, 0.0]),
        ({"schedule": "constant"}, [0.02, 0.4, 0.4, 0.4]),
    ],
)
def test_schedules_by_hand(overrides, expected):
    overrides = {"learning_rate": 0.4, "warmup_epochs": 2.0} | overrides
    np.testing.assert_allclose(
        rates([0, 20, 30, 40], **overrides), expected, atol=1e-6
    )


def test_cosine_and_linear_differ_on_the_way():
    cosine, linear = (
        rates([10], learning_rate=1.0, schedule=schedule)[0]
        for schedule in ("cosine", "linear")
    )
    assert linear == pytest.approx(0.75)
    assert cosine == pytest.approx(0.5 + 0.5 * np.cos(np.pi / 4))


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_weight_decay_spares_biases_and_batch_norm(name):
    optimizer = optimizers.make_optimizer(
        fields(
            name=name, learning_rate=0.1, weight_decay=0.5, schedule="constant"
        ),
        steps_per_epoch=1,
        epochs=1,
    )
    network = nets.make_network(batch_norm=True)
    before = nets.snapshot(network)
    variables = network.trainable_variables
    optimizer.apply_gradients([(v * 0.0, v) for v in variables])
    after = dict(zip([v.path for v in network.weights], network.get_weights()))
    for (path, weight), old in zip(after.items(), before):
        factor = 0.95 if path.endswith("kernel") else 1.0
        np.testing.assert_allclose(weight, factor * old, rtol=1e-5)


def test_clip_norm_clips_the_whole_gradient():
    optimizer = optimizers.make_optimizer(
        fields(clip_norm=1.5), steps_per_epoch=1, epochs=1
    )
    assert optimizer.global_clipnorm == 1.5
    unclipped = optimizers.make_optimizer(fields(), steps_per_epoch=1, epochs=1)
    assert unclipped.global_clipnorm is None


def test_sgd_is_nesterov_s():
    optimizer = optimizers.make_optimizer(
        fields(
            name="sgd", momentum=0.5, learning_rate=1.0, schedule="constant"
        ),
        steps_per_epoch=1,
        epochs=1,
    )
    variable = keras.Variable(0.0)
    for _ in range(2):
        optimizer.apply_gradients([(keras.ops.ones(()), variable)])
    # Velocities -1 and -1.5; Nesterov steps of -1.5 and -1.75.
    assert float(variable.numpy()) == pytest.approx(-3.25)

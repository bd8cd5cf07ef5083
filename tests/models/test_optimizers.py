"""Learning rate schedules by hand, and the optimizers' steps."""

import keras
import nets
import numpy as np
import pytest

from kd_keras import config as config_lib
from kd_keras.config import optimizer as optimizer_config
from kd_keras.models import optimizers


def fields(**overrides):
    fields = config_lib.default_config().teacher.optimizer
    fields.update(overrides)
    return fields


def rates(steps, **overrides):
    schedule = optimizers.make_schedule(
        fields(**overrides), steps_per_epoch=10, epochs=4
    )
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


def test_the_schedule_of_an_extension_starts_again_without_a_warmup():
    schedule = optimizers.make_schedule(
        fields(learning_rate=0.4, warmup_epochs=1.0, schedule="linear"),
        steps_per_epoch=10,
        epochs=5,
        extended_from=(2, 3),
    )
    # Rise in 10 steps, fall in 10; then falls from steps 20 and 30 on.
    steps = [4, 9, 15, 19, 20, 25, 29, 30, 40, 50]
    expected = [0.2, 0.4, 0.2, 0.04, 0.4, 0.2, 0.04, 0.4, 0.2, 0.0]
    np.testing.assert_allclose(
        [float(schedule(step)) for step in steps], expected, atol=1e-6
    )


def test_cosine_and_linear_differ_before_the_end():
    cosine, linear = (
        rates([10], learning_rate=1.0, schedule=schedule)[0]
        for schedule in ("cosine", "linear")
    )
    assert linear == pytest.approx(0.75)
    assert cosine == pytest.approx(0.5 + 0.5 * np.cos(np.pi / 4))


def test_the_configuration_has_the_optimizers():
    assert tuple(optimizers.OPTIMIZERS) == optimizer_config.OPTIMIZERS


@pytest.mark.parametrize("name", [*optimizers.OPTIMIZERS])
def test_weight_decay_leaves_biases_and_batch_norm_out(name):
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


def test_sgd_uses_nesterov_momentum():
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


@pytest.mark.parametrize("shape", [(36, 8), (8, 36), (8, 8)])
def test_orthogonal_keeps_directions_and_equalises_singular_values(shape):
    matrix = np.random.default_rng(0).normal(size=shape).astype("float32")
    # Singular values over two orders of magnitude, as gradients have them.
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    matrix = (u * np.geomspace(1, 0.01, 8)) @ vt
    levelled = u.T @ optimizers.orthogonal(matrix.astype("float32")) @ vt.T
    values = np.diag(levelled)
    np.testing.assert_allclose(levelled, np.diag(values), atol=1e-4)
    assert values.min() > 0.5 and values.max() < 1.3


def muon(**overrides):
    return optimizers.make_optimizer(
        fields(
            name="muon",
            learning_rate=0.5,
            kernel_learning_rate=0.2,
            momentum=0.9,
            schedule="constant",
            **overrides,
        ),
        steps_per_epoch=1,
        epochs=1,
    )


def step_twice(optimizer, gradients, shape):
    variable = keras.Variable(np.ones(shape, "float32"))
    steps = []
    for gradient in gradients:
        before = variable.numpy()
        optimizer.apply_gradients([(keras.ops.array(gradient), variable)])
        steps.append(variable.numpy() - before)
    return steps, before


def test_muon_steps_of_convolutions_are_orthogonal():
    shape = (3, 3, 4, 8)
    gradients = np.random.default_rng(0).normal(size=(2, *shape))
    gradients = gradients.astype("float32")
    # The length of a gradient has no effect.
    steps, before = step_twice(muon(), 1e3 * gradients, shape)
    length = 0.5 * 0.2 * np.linalg.norm(before)
    # Nesterov's: 0.6 (0.6 g1 + g2) + g2.
    ahead = 0.36 * gradients[0] + 1.6 * gradients[1]
    expected = optimizers.orthogonal(ahead.reshape(36, 8)).numpy()
    expected *= -length / np.linalg.norm(expected)
    moved = before.reshape(36, 8) + expected
    # The kernel keeps its norm.
    moved *= np.linalg.norm(before) / np.linalg.norm(moved)
    after = (before + steps[1]).reshape(36, 8)
    np.testing.assert_allclose(after, moved, atol=1e-5)


def test_muon_keeps_the_norm_of_convolutions():
    kernel, quarter_turn = np.eye(2), np.array([[0.0, 1.0], [-1.0, 0.0]])
    variable = keras.Variable(kernel.reshape(1, 1, 2, 2).astype("float32"))
    other = keras.Variable(np.ones((2, 2), "float32"), name="other")
    shift = keras.Variable(np.ones(2, "float32"), name="bias")
    optimizer = muon(weight_decay=0.1)
    for _ in range(100):
        # At right angles to the kernel, as behind BatchNorm.
        turned = variable.numpy().reshape(2, 2) @ quarter_turn
        gradient = keras.ops.array(turned.reshape(1, 1, 2, 2), "float32")
        nothing = keras.ops.zeros((2, 2)), keras.ops.zeros(2)
        optimizer.apply_gradients(
            zip((gradient, *nothing), (variable, other, shift))
        )
    assert np.linalg.norm(variable) == pytest.approx(np.sqrt(2), rel=1e-5)
    # Other kernels decay, by 0.5 * 0.1 of their values a step.
    np.testing.assert_allclose(other, 0.95**100, rtol=1e-4)
    np.testing.assert_allclose(shift, 1.0)


@pytest.mark.parametrize("kernel", [0.0, 1.0])
@pytest.mark.parametrize("gradient", [0.0, 1.0])
def test_muon_makes_no_nan_of_zeros(kernel, gradient):
    variable = keras.Variable(np.full((1, 1, 2, 3), kernel, "float32"))
    gradients = keras.ops.full((1, 1, 2, 3), gradient)
    muon().apply_gradients([(gradients, variable)])
    assert np.isfinite(variable).all()
    assert np.linalg.norm(variable) == pytest.approx(kernel * np.sqrt(6))


@pytest.mark.parametrize("shape", [(36, 8), (8,), (3, 3, 8, 1)])
def test_muon_trains_all_other_variables_by_sgd(shape):
    gradients = np.random.default_rng(0).normal(size=(2, *shape))
    gradients = gradients.astype("float32")
    sgd = keras.optimizers.SGD(0.5, momentum=0.9, nesterov=True)
    steps, expected = (
        step_twice(optimizer, gradients, shape)[0]
        for optimizer in (muon(), sgd)
    )
    np.testing.assert_allclose(steps, expected, rtol=1e-6)


def test_muon_keeps_its_settings_when_saved():
    before = optimizers.Muon(
        0.1, kernel_learning_rate=0.2, kernel_momentum=0.3, weight_decay=0.1
    )
    after = keras.optimizers.deserialize(keras.optimizers.serialize(before))
    assert isinstance(after, optimizers.Muon)
    assert (after.kernel_learning_rate, after.kernel_momentum) == (0.2, 0.3)
    assert after.get_config() == before.get_config()

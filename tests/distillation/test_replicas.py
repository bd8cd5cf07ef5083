"""Two replicas give the same student and the same logs as one device."""

import distilling
import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.distillation import trainer
from kd_keras.models import optimizers
from kd_keras.training import devices

# Two batches of 16 and a ragged one of 9: shares of 5 and 4.
COUNT, BATCH = 41, 16


def two_replicas():
    return devices.make_strategy("2")


def one_device():
    return tf.distribute.get_strategy()


def fit(
    strategy,
    *,
    make_optimizer,
    network_options=None,
    distiller_options=None,
    labels=True,
    validation_labels=None,
    sample_weight=None,
    epochs=2,
    supervised=False,
    validate=True,
):
    """Trains from the same start; returns the network and its last logs."""
    keras.utils.set_random_seed(7)
    images, y = nets.make_images(COUNT), nets.make_labels(COUNT)
    teacher = nets.make_network(units=32)
    with strategy.scope():
        network = nets.make_network(**(network_options or {}))
        if supervised:
            model = trainer.SupervisedTrainer(network)
        else:
            model = kd_keras.Distiller(
                network, teacher, **(distiller_options or {})
            )
        model.compile(
            optimizer=make_optimizer(),
            metrics=[keras.metrics.SparseTopKCategoricalAccuracy(2)],
        )

    def make_batches(labels):
        parts = [images]
        if labels:
            parts.append(y.astype("int32"))
        if sample_weight is not None:
            parts.append(sample_weight.astype("float32"))
        return tf.data.Dataset.from_tensor_slices(
            tuple(parts) if len(parts) > 1 else images
        ).batch(BATCH)

    if validation_labels is None:
        validation_labels = labels
    logs = model.fit(
        make_batches(labels),
        validation_data=make_batches(validation_labels) if validate else None,
        epochs=epochs,
        shuffle=False,
        verbose=0,
    ).history
    return network, {name: values[-1] for name, values in logs.items()}


def assert_two_equal_one(atol=1e-5, **options):
    one, expected = fit(one_device(), **options)
    two, logs = fit(two_replicas(), **options)
    nets.assert_same_weights(two, one, atol=atol)
    assert logs.keys() == expected.keys()
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    return expected


def sgd(**options):
    return lambda: keras.optimizers.SGD(0.1, momentum=0.9, **options)


@pytest.mark.slow
def test_the_update_of_one_step():
    images = nets.make_images(10)
    teacher = nets.make_network()
    steps = []
    for strategy in (one_device(), two_replicas()):
        keras.utils.set_random_seed(3)
        with strategy.scope():
            student = nets.make_network()
            distiller = distilling.compiled(student, teacher)
        before = nets.snapshot(student)
        distiller.fit(images, batch_size=10, shuffle=False, verbose=0)
        steps.append([a - b for a, b in zip(student.get_weights(), before)])
    for one, two in zip(*steps):
        np.testing.assert_allclose(two, one, atol=1e-7)
    assert max(np.abs(step).max() for step in steps[0]) > 1e-3


@pytest.mark.slow
def test_plain_distillation():
    logs = assert_two_equal_one(make_optimizer=sgd(), labels=False)
    assert "val_agreement" in logs


@pytest.mark.slow
def test_labels_in_validation_alone():
    # Training and validation have different logs, also after the first epoch.
    logs = assert_two_equal_one(
        make_optimizer=sgd(), labels=False, validation_labels=True, epochs=3
    )
    assert "val_accuracy" in logs and "accuracy" not in logs


@pytest.mark.slow
def test_hard_loss_regulariser_and_batch_norm():
    logs = assert_two_equal_one(
        make_optimizer=lambda: keras.optimizers.AdamW(1e-3),
        network_options={
            "batch_norm": True,
            "regularizer": keras.regularizers.L2(0.01),
        },
        distiller_options={"hard_loss_weight": 0.5, "temperature": 2.0},
    )
    assert {"hard_loss", "regularization_loss", "accuracy"} <= logs.keys()


@pytest.mark.slow
def test_sample_weights():
    weights = np.random.default_rng(3).uniform(0, 2, COUNT)
    assert_two_equal_one(make_optimizer=sgd(), sample_weight=weights)


@pytest.mark.slow
def test_muon():
    # Its steps are relative: of the sum of the gradients, not of each.
    assert_two_equal_one(
        make_optimizer=lambda: optimizers.Muon(0.1, momentum=0.9),
        network_options={"convolution": True},
    )


@pytest.mark.slow
def test_training_on_labels():
    assert_two_equal_one(
        make_optimizer=sgd(),
        supervised=True,
        network_options={"batch_norm": True},
    )


def fit_clipped(strategy, **clip):
    """The network alone; its logs are those of other tests."""
    return fit(strategy, make_optimizer=sgd(**clip), validate=False)[0]


@pytest.fixture(scope="module")
def unclipped():
    return fit_clipped(one_device())


@pytest.mark.slow
@pytest.mark.parametrize(
    "clip", [{"global_clipnorm": 0.1}, {"clipnorm": 0.05}, {"clipvalue": 0.01}]
)
def test_clipping_applies_to_the_whole_batch_s_gradient(clip, unclipped):
    one = fit_clipped(one_device(), **clip)
    two = fit_clipped(two_replicas(), **clip)
    nets.assert_same_weights(two, one, atol=1e-5)
    difference = np.abs(one.get_weights()[0] - unclipped.get_weights()[0])
    assert difference.max() > 1e-3  # it did clip


@pytest.mark.slow
def test_clipping_under_the_loss_scale_of_float16():
    def run(strategy):
        keras.mixed_precision.set_dtype_policy("mixed_float16")
        return fit_clipped(strategy, global_clipnorm=0.1)

    nets.assert_same_weights(run(two_replicas()), run(one_device()), atol=2e-3)


@pytest.mark.slow
def test_an_overflow_on_one_replica_skips_the_step_on_both():
    images = nets.make_images(4)
    images[3] *= 1e6  # overflows float16, on the second replica alone
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    with two_replicas().scope():
        network = nets.make_network()
        distiller = kd_keras.Distiller(network)
        distiller.compile(optimizer=keras.optimizers.SGD(0.1))
        distiller.optimizer.build(network.trainable_variables)
    before = nets.snapshot(network)
    scale = float(distiller.optimizer.dynamic_scale.numpy())
    logits = np.zeros((4, nets.NUM_CLASSES), "float32")
    batches = tf.data.Dataset.from_tensors((images, {"teacher_logits": logits}))
    distiller.fit(batches, shuffle=False, verbose=0)
    assert not any(nets.moved(network, before))
    assert float(distiller.optimizer.dynamic_scale.numpy()) == scale / 2


def test_settings_that_fail_in_keras_are_refused():
    with two_replicas().scope():
        distiller = kd_keras.Distiller(nets.make_network())
        with pytest.raises(ValueError, match="gradient_accumulation_steps"):
            distiller.compile(
                keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
            )
        with pytest.raises(ValueError, match="steps_per_execution"):
            distiller.compile("sgd", steps_per_execution=4)


@pytest.mark.slow
@pytest.mark.parametrize("soft_loss", ["dkd", "dist", "mse"])
def test_the_other_losses(soft_loss):
    # The classes' correlations of `dist` are over the whole batch.
    assert_two_equal_one(
        make_optimizer=sgd(),
        labels=False,
        distiller_options={"soft_loss": soft_loss},
    )


@pytest.mark.slow
def test_schedules():
    schedule = keras.optimizers.schedules.PolynomialDecay
    assert_two_equal_one(
        make_optimizer=sgd(),
        distiller_options={
            "temperature": schedule(6.0, 6, 2.0),
            "hard_loss_weight": schedule(0.0, 6, 1.0),
        },
    )

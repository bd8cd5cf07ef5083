"""Updates of the student by a Distiller on one device."""

import distilling
import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.distillation import losses


def test_one_step_is_the_gradient_of_the_mean_loss():
    teacher, student = nets.make_network(units=32), nets.make_network()
    by_hand, images = nets.copy_of(student), nets.make_images(16)
    distilling.distil(student, teacher, images)
    distilling.plain_step(
        by_hand,
        lambda: tf.reduce_mean(
            losses.distillation_loss(
                teacher_logits=teacher(images),
                student_logits=by_hand(images),
                temperature=distilling.TEMPERATURE,
            )
        ),
    )
    nets.assert_same_weights(student, by_hand, atol=1e-6)


@pytest.mark.slow
def test_hard_loss_and_regularisation_are_added():
    regularizer = keras.regularizers.L2(0.01)
    teacher = nets.make_network()
    student = nets.make_network(regularizer=regularizer)
    by_hand = nets.copy_of(student)
    images, labels = nets.make_images(16), nets.make_labels(16)
    _, logs = distilling.distil(
        student, teacher, images, labels, hard_loss_weight=0.3
    )

    def terms():
        logits = by_hand(images)
        return (
            tf.reduce_mean(
                losses.distillation_loss(
                    teacher_logits=teacher(images),
                    student_logits=logits,
                    temperature=distilling.TEMPERATURE,
                )
            ),
            tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(
                    labels, logits, from_logits=True
                )
            ),
            tf.add_n(by_hand.losses),
        )

    soft, hard, penalty = (float(term) for term in terms())
    assert logs["soft_loss"] == pytest.approx(soft, rel=1e-5)
    assert logs["hard_loss"] == pytest.approx(hard, rel=1e-5)
    assert logs["regularization_loss"] == pytest.approx(penalty, rel=1e-5)
    assert logs["loss"] == pytest.approx(soft + 0.3 * hard + penalty, rel=1e-5)

    def loss():
        soft, hard, penalty = terms()
        return soft + 0.3 * hard + penalty

    distilling.plain_step(by_hand, loss)
    nets.assert_same_weights(student, by_hand, atol=1e-6)


@pytest.mark.slow
def test_regularisation_and_sample_weights_change_the_update():
    teacher, images = nets.make_network(), nets.make_images(16)
    labels = nets.make_labels(16)
    plain = nets.make_network()
    heavy = nets.make_network(regularizer=keras.regularizers.L2(0.1))
    heavy.set_weights(plain.get_weights())
    weighted = nets.copy_of(plain)
    start = plain.get_weights()[0]
    for student, weights in (
        (plain, None),
        (heavy, None),
        (weighted, np.linspace(0, 1, 16)),
    ):
        distilling.compiled(student, teacher).fit(
            images, labels, sample_weight=weights, batch_size=16, verbose=0
        )
    # The penalty's gradient is 0.2 times the kernel; the step 0.05 of it.
    np.testing.assert_allclose(
        heavy.get_weights()[0],
        plain.get_weights()[0] - 0.05 * 0.2 * start,
        atol=1e-5,
    )
    moved = np.abs(weighted.get_weights()[0] - plain.get_weights()[0])
    assert moved.max() > 1e-4
    # Keras would drop these weights silently.
    with pytest.raises(ValueError, match="sample_weight needs a y"):
        distilling.compiled(plain, teacher).fit(images, sample_weight=labels)


@pytest.mark.slow
def test_without_a_hard_loss_labels_only_feed_metrics():
    teacher, images = nets.make_network(), nets.make_images()
    first = nets.make_network()
    second, third = nets.copy_of(first), nets.copy_of(first)
    labels = nets.make_labels()
    _, logs = distilling.distil(first, teacher, images, labels)
    distilling.distil(second, teacher, images, np.random.permutation(labels))
    _, without = distilling.distil(third, teacher, images)
    nets.assert_same_weights(first, second)
    nets.assert_same_weights(first, third)
    assert "accuracy" in logs and "accuracy" not in without


@pytest.mark.slow
def test_given_teacher_logits_equal_the_live_teacher():
    teacher, images = nets.make_network(), nets.make_images()
    live = nets.make_network()
    stored = nets.copy_of(live)
    distilling.distil(live, teacher, images, epochs=2)
    logits = teacher.predict(images, verbose=0)
    distilling.distil(
        stored, None, images, {"teacher_logits": logits}, epochs=2
    )
    nets.assert_same_weights(live, stored, atol=1e-6)


@pytest.mark.slow
def test_sample_weights_weigh_the_loss_and_the_logs():
    teacher, images = nets.make_network(), nets.make_images(48)
    labels = nets.make_labels(48)
    # The second half of each batch of 16 counts for nothing, the first twice.
    weights = np.tile(np.repeat([2.0, 0.0], 8), 3)
    half = np.tile(np.repeat([True, False], 8), 3)
    weighted = nets.make_network()
    halved = nets.copy_of(weighted)
    _, logs = distilling.distil(weighted, teacher, images, labels, weights)
    _, expected = distilling.distil(
        halved, teacher, images[half], labels[half], batch_size=8
    )
    nets.assert_same_weights(weighted, halved, atol=1e-6)
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.slow
def test_sample_weights_of_arrays_weigh_given_logits():
    teacher, images = nets.make_network(), nets.make_images(16)
    live = nets.make_network()
    stored = nets.copy_of(live)
    weights = np.linspace(0, 1, 16)
    labels = nets.make_labels(16)
    distilling.distil(live, teacher, images, labels, weights)
    logits = teacher.predict(images, verbose=0)
    y = {"teacher_logits": logits, "labels": labels}
    distiller, _ = distilling.distil(stored, None, images, y, weights)
    nets.assert_same_weights(live, stored, atol=1e-6)
    several = {"teacher_logits": weights, "labels": 1 - weights}
    with pytest.raises(ValueError, match="Received: 16 weights of a batch"):
        distiller.fit(images, y, sample_weight=several, verbose=0)


@pytest.mark.slow
def test_gradient_clipping_clips_the_whole_gradient():
    teacher, images = nets.make_network(units=64), nets.make_images(16)
    student = nets.make_network()
    before = nets.snapshot(student)
    distilling.distil(
        student,
        teacher,
        images,
        optimizer=keras.optimizers.SGD(1.0, global_clipnorm=0.01),
    )
    step = [a - b for a, b in zip(student.get_weights(), before)]
    norm = np.sqrt(sum((part**2).sum() for part in step))
    assert norm == pytest.approx(0.01, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_with_a_float32_loss(policy):
    keras.mixed_precision.set_dtype_policy(policy)
    student = nets.make_network()
    keras.mixed_precision.set_dtype_policy("float32")
    teacher, images = nets.make_network(), nets.make_images()
    reference = nets.make_network()
    reference.set_weights(student.get_weights())
    distiller, logs = distilling.distil(student, teacher, images, epochs=3)
    _, expected = distilling.distil(reference, teacher, images, epochs=3)
    assert isinstance(
        distiller.optimizer, keras.optimizers.LossScaleOptimizer
    ) == (policy == "mixed_float16")
    assert student(images[:1]).dtype != tf.float32
    assert logs["loss"] == pytest.approx(expected["loss"], rel=0.02)
    nets.assert_same_weights(student, reference, atol=5e-3)


@pytest.mark.slow
def test_networks_of_float64_are_distilled():
    teacher, images = nets.make_network(), nets.make_images()
    reference = nets.make_network()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        student = nets.make_network()
        reference.set_weights(student.get_weights())
        _, logs = distilling.distil(student, teacher, images)
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    assert student(images[:1]).dtype == tf.float64
    _, expected = distilling.distil(reference, teacher, images)
    assert logs["loss"] == pytest.approx(expected["loss"], rel=1e-5)


@pytest.mark.slow
def test_an_unbuilt_student_is_built_by_its_first_batch():
    student = keras.Sequential(
        [keras.layers.Flatten(), keras.layers.Dense(nets.NUM_CLASSES)]
    )
    _, logs = distilling.distil(
        student, nets.make_network(), nets.make_images()
    )
    assert student.built and logs["loss"] > 0


@pytest.mark.slow
def test_evaluate_changes_nothing_and_a_step_is_one_forward_pass():
    student, teacher = nets.make_network_with_state(), nets.make_network()
    images = nets.make_images(16)
    distiller = distilling.compiled(student, teacher)
    before = nets.snapshot(student)
    distiller.evaluate(images, verbose=0)
    assert not any(nets.moved(student, before))
    norm = next(
        layer
        for layer in student.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    features = keras.Model(student.inputs, norm.input)
    activations = features.predict(images, verbose=0)
    distiller.fit(images, batch_size=16, shuffle=False, verbose=0)
    # From 0, once: momentum 0.99 leaves 1 % of the batch's mean.
    np.testing.assert_allclose(
        norm.moving_mean, 0.01 * activations.mean(0), atol=1e-5
    )


@pytest.mark.slow
def test_importing_changes_nothing():
    import subprocess
    import sys

    code = """
import random, sys
import kd_keras
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
import keras, numpy, tensorflow as tf
random.seed(1); numpy.random.seed(1)
states = random.getstate(), numpy.random.get_state()[1].tolist()
import kd_keras.distillation.distiller, kd_keras.training.stages
assert states == (random.getstate(), numpy.random.get_state()[1].tolist())
assert keras.mixed_precision.dtype_policy().name == "float32"
# Fails once TensorFlow has started:
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.slow
def test_the_step_of_a_training_is_traced_once():
    traced = []

    class Traced(kd_keras.Distiller):
        def train_step(self, data):
            traced.append(data)
            return super().train_step(data)

    model = Traced(nets.make_network(), nets.make_network())
    model.compile("adam")
    model.fit(nets.make_images(8), batch_size=4, verbose=0)
    assert len(traced) == 1

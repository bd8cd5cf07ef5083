"""Losses, schedules and options of a Distiller."""

import distilling
import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.distillation import losses


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kl", {"standardize": True}),
        ("dkd", {"beta": 2.0}),
        ("dist", {"gamma": 0.5}),
        ("mse", {}),
    ],
)
def test_one_step_is_the_gradient_of_each_loss(name, options):
    teacher, student = nets.make_network(), nets.make_network()
    by_hand, images = nets.copy_of(student), nets.make_images(16)
    distiller, logs = distilling.distil(
        student, teacher, images, soft_loss=name, soft_loss_options=options
    )
    distilling.plain_step(
        by_hand,
        lambda: tf.reduce_mean(
            losses.LOSSES[name](
                teacher_logits=teacher(images),
                student_logits=by_hand(images),
                temperature=distilling.TEMPERATURE,
                **options,
            )
        ),
    )
    nets.assert_same_weights(student, by_hand, atol=1e-5)
    assert logs["loss"] == logs["soft_loss"] > 0


@pytest.mark.slow
def test_a_loss_may_be_a_function():
    teacher, student = nets.make_network(), nets.make_network()

    def absolute(*, teacher_logits, student_logits, temperature):
        return tf.reduce_sum(tf.abs(teacher_logits - student_logits), axis=-1)

    images = nets.make_images(16)
    expected = np.abs(teacher(images) - student(images)).sum(-1).mean()
    _, logs = distilling.distil(student, teacher, images, soft_loss=absolute)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("hard_loss_weight", [0.0, 0.5])
def test_a_loss_gets_the_inputs_among_its_arguments(hard_loss_weight):
    received = {}

    def loss(
        *, teacher_logits, student_logits, temperature, labels, batch_sum, scale
    ):
        received.update(labels=labels, count=batch_sum(tf.ones((16, 2))))
        return scale * tf.reduce_sum(student_logits - teacher_logits, axis=-1)

    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(16), nets.make_labels(16)
    distiller = kd_keras.Distiller(
        student,
        teacher,
        soft_loss=loss,
        soft_loss_options={"scale": 2.0},
        hard_loss_weight=hard_loss_weight,
    )
    distiller.compile("sgd", run_eagerly=True)
    distiller.train_on_batch(images, labels)
    np.testing.assert_array_equal(received["count"], [16, 16])
    if hard_loss_weight:
        np.testing.assert_array_equal(received["labels"], labels)
    else:
        assert received["labels"] is None


@pytest.mark.slow
def test_dkd_uses_labels_only_with_a_hard_loss():
    teacher, images = nets.make_network(), nets.make_images(16)
    labels = (np.argmax(teacher(images), -1) + 1) % nets.NUM_CLASSES

    def soft_loss(y, **options):
        keras.utils.set_random_seed(1)
        student = nets.make_network()
        _, logs = distilling.distil(
            student, teacher, images, y, soft_loss="dkd", **options
        )
        return logs["soft_loss"]

    without = soft_loss(None)
    assert soft_loss(labels) == without
    assert soft_loss(labels, hard_loss_weight=0.5) != pytest.approx(without)


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy",
    ["float32", pytest.param("mixed_float16", marks=pytest.mark.slow)],
)
def test_temperature_and_hard_loss_weight_follow_schedules(policy):
    keras.mixed_precision.set_dtype_policy(policy)
    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(8), nets.make_labels(8)
    temperature = keras.optimizers.schedules.PolynomialDecay(6.0, 4, 2.0)
    weight = keras.optimizers.schedules.PolynomialDecay(1.0, 4, 0.0)
    distiller, _ = distilling.distil(
        student,
        teacher,
        images,
        labels,
        epochs=2,
        optimizer=keras.optimizers.SGD(0.0),
        temperature=temperature,
        hard_loss_weight=weight,
    )
    # Two steps were made: half of the way.
    logs = distiller.evaluate(images, labels, verbose=0, return_dict=True)
    expected = losses.distillation_loss(
        teacher_logits=teacher(images),
        student_logits=student(images),
        temperature=4.0,
    )
    assert logs["soft_loss"] == pytest.approx(np.mean(expected), rel=1e-3)
    assert logs["loss"] == pytest.approx(
        logs["soft_loss"] + 0.5 * logs["hard_loss"], rel=1e-3
    )


@pytest.mark.slow
@pytest.mark.parametrize("hard_loss_weight", [0.0, 0.5])
def test_the_soft_loss_is_scaled_by_the_temperature_squared(
    hard_loss_weight,
):
    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(), nets.make_labels()
    temperature = 7.0
    logs = distilling.compiled(
        student,
        teacher,
        temperature=temperature,
        hard_loss_weight=hard_loss_weight,
    ).evaluate(images, labels, return_dict=True, verbose=0)
    p, q = (
        tf.nn.softmax(network.predict(images, verbose=0) / temperature)
        for network in (teacher, student)
    )
    divergence = np.mean(keras.losses.kl_divergence(p, q))
    assert logs["soft_loss"] == pytest.approx(49 * divergence, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "Received: temperature=0.0"),
        ({"temperature": float("nan")}, "Received: temperature=nan"),
        ({"hard_loss_weight": -1.0}, "Received: hard_loss_weight=-1.0"),
        ({"soft_loss": "kld"}, "one of kl, dkd, dist, mse, binary_kl.*'kld'"),
    ],
)
def test_impossible_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        kd_keras.Distiller(nets.make_network(), nets.make_network(), **options)


@pytest.mark.parametrize(
    ("teacher", "options", "y", "message"),
    [
        (None, {}, None, "needs a teacher"),
        ("teacher", {"hard_loss_weight": 0.1}, None, "needs labels"),
        ("teacher", {}, {"label": nets.make_labels()}, r"\['label'\]"),
        ("teacher", {}, np.ones((50, 5)), "one-hot. Received: 16 of 16"),
    ],
)
def test_batches_without_teacher_or_labels_are_refused(
    teacher, options, y, message
):
    if teacher:
        teacher = nets.make_network()
    with pytest.raises(ValueError, match=message):
        distilling.distil(
            nets.make_network(), teacher, nets.make_images(), y, **options
        )


def test_a_loss_in_compile_is_refused():
    distiller = kd_keras.Distiller(nets.make_network(), nets.make_network())
    with pytest.raises(ValueError, match="Received: loss"):
        distiller.compile(optimizer="sgd", loss="mse")

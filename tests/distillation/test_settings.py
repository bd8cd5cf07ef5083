"""Settings of a Distiller that change during a training."""

import distilling
import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.distillation import settings

IMAGES, LABELS = nets.make_images(16), nets.make_labels(16)


@pytest.fixture(scope="module")
def networks():
    return nets.make_network(), nets.make_network()


def loss(distiller):
    return distiller.evaluate(IMAGES, LABELS, return_dict=True, verbose=0)[
        "loss"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("temperature", 8.0, 1.0),
        ("hard_loss_weight", 0.0, 0.5),
        ("soft_loss", "kl", "mse"),
    ],
)
def test_a_setting_takes_effect_when_it_is_set(networks, name, first, second):
    distiller = distilling.compiled(*networks, **{name: first})
    before = loss(distiller)
    setattr(distiller, name, second)
    expected = loss(distilling.compiled(*networks, **{name: second}))
    assert loss(distiller) == expected != before


@pytest.mark.slow
def test_a_callback_changes_the_temperature_of_the_next_epoch(networks):
    distiller = distilling.compiled(*networks, temperature=8.0)
    distiller.optimizer.learning_rate = 0.0
    history = distiller.fit(
        IMAGES,
        epochs=2,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: setattr(
                    distiller, "temperature", 1.0
                )
            )
        ],
    ).history["loss"]
    expected = loss(distilling.compiled(*networks, temperature=1.0))
    assert history[1] == pytest.approx(expected, rel=1e-5)
    assert history[0] != pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("variable", [tf.Variable, keras.Variable])
def test_a_variable_is_read_at_each_step_and_is_no_weight(networks, variable):
    student, teacher = networks
    weight = variable(0.0, trainable=False)
    distiller = distilling.compiled(student, teacher, hard_loss_weight=weight)
    assert len(distiller.weights) == len(student.weights)
    assert loss(distiller) == loss(distilling.compiled(student, teacher))
    weight.assign(0.5)
    expected = distilling.compiled(student, teacher, hard_loss_weight=0.5)
    assert loss(distiller) == pytest.approx(loss(expected), rel=1e-6)
    config = distiller.get_config()
    assert kd_keras.Distiller.from_config(config).hard_loss_weight == 0.5


@pytest.mark.parametrize("value", ["4", None, [4.0], 1j, True, np.ones(2)])
def test_a_setting_that_is_no_number_is_refused(value):
    for check in (settings.temperature, settings.hard_loss_weight):
        with pytest.raises(ValueError, match="must be a number"):
            check(value)


def test_numbers_of_any_library_are_taken():
    numbers = [4, 4.0, np.float32(4), np.array(4.0), tf.constant(4.0)]
    assert [settings.temperature(x) for x in numbers] == [4] * 5


def test_options_that_the_loss_does_not_take_are_refused(networks):
    with pytest.raises(ValueError, match="standardize. Received: 'beta'"):
        loss(distilling.compiled(*networks, soft_loss_options={"beta": 1}))
    with pytest.raises(ValueError, match="must be a dict"):
        kd_keras.Distiller(*networks, soft_loss_options="beta")


def schedule(first, last):
    return keras.optimizers.schedules.PolynomialDecay(first, 2, last)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": keras.Variable(-1.0)}, "from 0.001.*Received: -1"),
        ({"temperature": schedule(4.0, 0.0)}, "from 0.001.*Received: 0"),
        ({"hard_loss_weight": tf.Variable(-1.0)}, ">= 0 and finite.*-1"),
        ({"hard_loss_weight": schedule(0.5, np.inf)}, ">= 0 and finite"),
    ],
)
def test_what_varies_must_stay_in_range(options, message):
    distiller = distilling.compiled(
        nets.make_network(), nets.make_network(), **options
    )
    with pytest.raises(ValueError, match=f"at every step be.*{message}"):
        distiller.fit(IMAGES, LABELS, epochs=3, batch_size=16, verbose=0)


def one_number(teacher_logits, student_logits, temperature):
    return tf.reduce_mean(student_logits - teacher_logits)


def each_class(teacher_logits, student_logits, temperature):
    return student_logits - teacher_logits


def nothing(teacher_logits, student_logits, temperature):
    return None


@pytest.mark.slow
@pytest.mark.parametrize("loss", [one_number, each_class, nothing])
def test_a_loss_of_other_shapes_is_refused(loss):
    distiller = distilling.compiled(
        nets.make_network(), nets.make_network(), soft_loss=loss
    )
    for method in (distiller.evaluate, distiller.fit):
        with pytest.raises(ValueError, match="one value for each example"):
            method(IMAGES, verbose=0)


def test_a_loss_of_other_arguments_is_refused(networks):
    for loss in (keras.losses.KLDivergence(), lambda a, b: a):
        with pytest.raises(ValueError, match="a function of teacher_logits,"):
            kd_keras.Distiller(*networks, soft_loss=loss)

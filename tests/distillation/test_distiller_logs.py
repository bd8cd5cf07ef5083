"""Logs and metrics of a Distiller."""

import warnings

import distilling
import keras
import nets
import numpy as np
import pytest

import kd_keras
from kd_keras.distillation import divergence, losses


@pytest.mark.slow
@pytest.mark.parametrize(
    "make_y",
    [
        lambda labels, logits: labels,
        lambda labels, logits: labels[:, np.newaxis],
        lambda labels, logits: {"labels": labels},
        lambda labels, logits: {"labels": labels, "teacher_logits": logits},
    ],
)
def test_labels_in_every_form_give_the_same_accuracy(make_y):
    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(), nets.make_labels()
    distiller = kd_keras.Distiller(student, teacher)
    distiller.compile()
    y = make_y(labels, teacher.predict(images, verbose=0))
    logs = distiller.evaluate(images, y, return_dict=True, verbose=0)
    right = student.predict(images, verbose=0).argmax(-1) == labels
    assert logs["accuracy"] == pytest.approx(right.mean())


@pytest.mark.slow
def test_logs_are_means_over_examples_not_batches():
    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(50), nets.make_labels(50)
    distiller = kd_keras.Distiller(
        student, teacher, temperature=distilling.TEMPERATURE
    )
    distiller.compile(metrics=[keras.metrics.SparseTopKCategoricalAccuracy(2)])
    # Batches of 32 and 18.
    logs = distiller.evaluate(
        images, labels, batch_size=32, return_dict=True, verbose=0
    )
    logits = student.predict(images, verbose=0)
    teacher_logits = teacher.predict(images, verbose=0)
    soft = losses.distillation_loss(
        teacher_logits=teacher_logits,
        student_logits=logits,
        temperature=distilling.TEMPERATURE,
    )
    same = logits.argmax(-1) == teacher_logits.argmax(-1)
    top2 = np.argsort(-logits, -1)[:, :2] == labels[:, np.newaxis]
    assert logs == {
        "loss": pytest.approx(np.mean(soft), rel=1e-5),
        "soft_loss": pytest.approx(np.mean(soft), rel=1e-5),
        "accuracy": pytest.approx(np.mean(logits.argmax(-1) == labels)),
        "agreement": pytest.approx(np.mean(same)),
        "sparse_top_k_categorical_accuracy": pytest.approx(
            np.mean(top2.any(-1))
        ),
    }


@pytest.mark.slow
def test_accuracy_is_not_that_of_the_last_batch():
    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(33), nets.make_labels(33)
    logs = distilling.compiled(student, teacher).evaluate(
        images, labels, batch_size=32, return_dict=True, verbose=0
    )
    right = student.predict(images, verbose=0).argmax(-1) == labels
    assert logs["accuracy"] == pytest.approx(right.mean(), abs=1e-6)
    assert logs["accuracy"] != right[32:].mean()


@pytest.mark.slow
def test_metrics_by_name_and_validation_data():
    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(), nets.make_labels()
    distiller = kd_keras.Distiller(student, teacher)
    distiller.compile(optimizer="sgd", metrics=["accuracy"])
    # Training without labels, validation with.
    history = distiller.fit(
        images, validation_data=(images, labels), epochs=2, verbose=0
    ).history
    right = student.predict(images, verbose=0).argmax(-1) == labels
    assert history["val_accuracy"][-1] == pytest.approx(right.mean())
    assert "accuracy" not in history
    assert history["loss"][1] < history["loss"][0]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_said_once():
    distiller = distilling.compiled(nets.make_network(), nets.make_network())
    images = nets.make_images(32)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        distiller.fit(images, verbose=0)
    distiller.student.layers[-1].bias.assign([np.nan] * nets.NUM_CLASSES)
    with pytest.warns(UserWarning, match="The loss is nan") as caught:
        distiller.fit(images, epochs=3, verbose=0)
    assert len(caught) == 1


def test_float16_that_overflows_for_good_is_said():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    scaled.build([])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert not divergence.warn(1.0, scaled)
    scaled.dynamic_scale.assign(2.0**-15)
    with pytest.warns(UserWarning, match="overflow float16 at every step"):
        assert divergence.warn(1.0, scaled)


@pytest.mark.slow
@pytest.mark.parametrize("labels", [None, nets.make_labels(16)])
def test_metrics_names_are_those_of_the_numbers_of_evaluate(labels):
    distiller = distilling.compiled(nets.make_network(), nets.make_network())
    images = nets.make_images(16)
    numbers = distiller.evaluate(images, labels, verbose=0)
    names = distiller.metrics_names
    logs = distiller.evaluate(images, labels, verbose=0, return_dict=True)
    assert dict(zip(names, numbers, strict=True)) == logs
    assert ("accuracy" in names) == (labels is not None)


@pytest.mark.slow
def test_callbacks_know_in_which_direction_a_metric_is_better():
    stops = {
        name: keras.callbacks.EarlyStopping(f"val_{name}")
        for name in ("accuracy", "agreement", "loss", "soft_loss")
    }
    distiller = distilling.compiled(nets.make_network(), nets.make_network())
    images, labels = nets.make_images(16), nets.make_labels(16)
    distiller.fit(
        images,
        labels,
        validation_data=(images, labels),
        callbacks=list(stops.values()),
        verbose=0,
    )
    more = [name for name, x in stops.items() if x.monitor_op(1.0, 0.0)]
    assert more == ["accuracy", "agreement"]

"""The teacher's accuracy before a student learns from it."""

import logging

import numpy as np
import pytest
import tensorflow as tf
from example_sets import encoded
from stage_runs import small_config, store_config

from kd_keras.data import datasets
from kd_keras.deployment import saved_model
from kd_keras.teachers import answers
from kd_keras.teachers.outputs import Outputs
from kd_keras.teachers.teacher import Teacher
from kd_keras.training import runs, teacher_measure

NUM_CLASSES = 4


def examples(count=200, *, labelled=True):
    """Images of one brightness a class: from 0, 60, 120 and 180 on."""
    number = np.arange(count)
    labels = number % NUM_CLASSES
    brightness = 60 * labels + number // NUM_CLASSES % 25
    images = np.broadcast_to(brightness.reshape(-1, 1, 1, 1), (count, 4, 4, 1))
    return datasets.Examples(
        images.astype("uint8"),
        labels if labelled else None,
        num_classes=NUM_CLASSES,
    )


def teacher(order=range(NUM_CLASSES), scale=1 / 60):
    """A teacher that knows the brightness, with its classes in some order."""

    def logits(images):
        brightness = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2, 3])
        classes = tf.cast(tf.argsort(list(order)), tf.float32)
        return -tf.square(brightness[:, tf.newaxis] * scale - classes)

    return answers_of(logits)


def answers_of(function, **attributes):
    """The answers of a teacher that is a function of images."""
    made = Teacher(
        function,
        path="here",
        image_shape=(4, 4, 1),
        num_classes=NUM_CLASSES,
        **attributes,
    )
    return answers.LiveAnswers(lambda: made, record={})


@pytest.fixture
def check(caplog):
    """Measures a teacher; returns the logged messages."""

    def check(measured, **parts):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="kd_keras"):
            teacher_measure.check(measured, parts)
        return [record.getMessage() for record in caplog.records]

    return check


@pytest.mark.slow
def test_a_good_teacher_is_one_line(check):
    assert check(teacher(), train=examples()) == [
        "teacher: 100.0 % right on 200 training images"
    ]
    # Validation images, where there are any.
    assert check(teacher(), train=examples(), validation=examples(40)) == [
        "teacher: 100.0 % right on 40 validation images"
    ]
    assert check(teacher(), train=examples(4000)) == [
        "teacher: 100.0 % right on 1,000 training images"
    ]
    assert check(teacher(), train=examples(labelled=False)) == []


def test_a_random_teacher_is_refused(check):
    def noisy(images):
        return tf.random.normal([len(images), NUM_CLASSES])

    random = answers_of(noisy)
    for labelled in (True, False):
        with pytest.raises(ValueError, match="the same logits for the same"):
            check(random, train=examples(labelled=labelled))


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        (teacher([1, 2, 3, 0]), "0 of 200.*another order.*class 0 for 1, 1"),
        (
            teacher(scale=1e-4),
            "50 of 200.*class 0 for all.*4 x 4 x 1, 0 to 204",
        ),
    ],
)
def test_a_teacher_at_chance_is_refused_with_the_likely_reason(
    check, measured, message
):
    with pytest.raises(ValueError, match=message):
        check(measured, train=examples())


def test_another_number_of_classes_is_refused(check):
    few = answers_of(lambda images: tf.zeros((tf.shape(images)[0], 3)))
    message = "same number of classes. Received: teacher 3, data 4"
    with pytest.raises(ValueError, match=message):
        check(few, train=examples())


def test_two_swapped_classes_are_a_warning(check):
    accuracy, warning = check(teacher([1, 0, 2, 3]), train=examples())
    assert accuracy.startswith("teacher: 50.0 % right")
    assert "it takes class 0 for 1, 1 for 0" in warning


def test_without_labels_constant_logits_are_refused(check):
    with pytest.raises(ValueError, match="nearly the same ones for 200"):
        check(teacher(scale=1e-4), train=examples(labelled=False))
    # The images may be of one class.
    (warning,) = check(teacher(scale=1 / 600), train=examples(labelled=False))
    assert warning.startswith("teacher: class 0 for all of 200")


def test_features_must_depend_on_the_image_and_be_finite(check):
    def embedding(scale):
        def features(images):
            mean = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2])
            return Outputs(None, (tf.concat([mean * scale, mean * 0 + 9], 1),))

        return answers_of(features, has_logits=False)

    assert check(embedding(0.1), train=examples()) == []
    with pytest.raises(ValueError, match="features must depend on the image"):
        check(embedding(0.0), train=examples())
    with pytest.raises(ValueError, match="features must be finite.*for 200 of"):
        check(embedding(float("nan")), train=examples())


def test_examples_of_one_class_are_no_proof_against_a_teacher(check):
    whole = examples()
    sevens = whole.subset(np.flatnonzero(whole.labels == 3))
    (line,) = check(teacher(), train=sevens)
    assert line == "teacher: 100.0 % right on 50 training images"
    # So are the first of a stream that is sorted by class.
    order = np.argsort(whole.labels, kind="stable")
    in_order = datasets.Examples(
        whole.images[order], whole.labels[order], num_classes=NUM_CLASSES
    )
    assert check(teacher(), train=encoded(in_order))


@pytest.fixture
def bad_teacher(trained_teacher, tmp_path):
    """The teacher, whose classes are in another order."""
    import keras

    path = trained_teacher.parent / "work" / "teacher" / "teacher.keras"
    network = keras.models.load_model(path, compile=False)
    last = network.layers[-1]
    last.set_weights([np.roll(w, 1, axis=-1) for w in last.get_weights()])
    saved_model.export_saved_model(network, tmp_path / "models/small_teacher")


@pytest.mark.slow
@pytest.mark.parametrize("store_path", ["", "auto"])
def test_nothing_is_written_for_a_bad_teacher(
    run, tmp_path, bad_teacher, store_path, small_mnist
):
    config = small_config(**{"store.path": store_path})
    with pytest.raises(ValueError, match="on labelled images.* 100 validation"):
        run("student", config=config)
    with pytest.raises(ValueError, match="on labelled images"):
        runs.label(
            config,
            workdir=tmp_path / "work",
            savedmodels=tmp_path / "models",
            dataset=small_mnist,
        )
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
def test_a_store_is_measured_where_the_teacher_is_not_loaded(
    run, tmp_path, bad_teacher, small_mnist, monkeypatch
):
    config = store_config()
    with monkeypatch.context() as patch:
        patch.setattr(teacher_measure, "check", lambda answers, parts: None)
        path, _ = runs.label(
            config,
            workdir=tmp_path / "labelled",
            savedmodels=tmp_path / "models",
            dataset=small_mnist,
        )
    for workdir, given in (("labelled", "auto"), ("other", path)):
        with pytest.raises(ValueError, match="labelled images.* 100 valid"):
            run("student", config=store_config(given), workdir=workdir)
        assert not (tmp_path / workdir / "student").exists()

"""Other preprocessings are tried where a teacher predicts badly."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.data import datasets
from kd_keras.teachers import answers, wrapping
from kd_keras.training import preprocess_trials, teacher_measure

CLASSES = 5


def images_of(labels):
    """Images whose class is their brightness: 10 to 40, 60 to 90, ..."""
    labels = np.asarray(labels)
    brightness = 50 * labels + 10 + 7 * np.arange(len(labels)) % 31
    shape = (len(labels), 4, 4, 3)
    images = np.broadcast_to(brightness.reshape(-1, 1, 1, 1), shape)
    return images.astype("uint8")


LABELS = np.arange(200) % CLASSES
IMAGES = images_of(LABELS)


def by_brightness(scaled):
    """A model of images from -1 to 1."""
    place = (tf.reduce_mean(tf.cast(scaled, tf.float32), [1, 2, 3]) + 1) * 2.55
    classes = tf.range(CLASSES, dtype=tf.float32) + 0.5
    return -tf.square(place[:, tf.newaxis] - classes)


def examples(labels=LABELS, *, labelled=True):
    return datasets.Examples(
        images_of(labels), labels if labelled else None, num_classes=CLASSES
    )


def check(teacher, examples):
    answer = answers.LiveAnswers(lambda: teacher, record={})
    teacher_measure.check(answer, {"train": examples})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labelled", "words"),
    [
        (True, "=tf would give 100 % right instead of 20 % .on 200 images"),
        (False, "=tf would give .*as 5.0 classes instead of 1.0 "),
    ],
)
def test_a_wrong_preprocessing_is_refused_with_the_right_one(labelled, words):
    wrong = wrapping.as_teacher(by_brightness)
    match = rf"Received: teacher.preprocess=none, but teacher.preprocess{words}"
    with pytest.raises(ValueError, match=match):
        check(wrong, examples(labelled=labelled))
    check(wrong.preprocessed_by("tf"), examples(labelled=labelled))


@pytest.mark.slow
def test_check_teacher_takes_what_a_distiller_takes(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 3))
    mean = keras.layers.Dense(1, use_bias=False)
    logits = keras.layers.Dense(CLASSES)
    network = keras.Model(inputs, logits(mean(keras.layers.Flatten()(inputs))))
    place = np.arange(CLASSES) + 0.5
    network.set_weights(
        # Of -(x - place)^2 without x^2: the same differences.
        [
            np.full((48, 1), 2.55 / 48),
            2 * place[np.newaxis],
            2 * 2.55 * place - place**2,
        ]
    )
    path = tmp_path / "model.keras"
    network.save(path)
    with pytest.raises(ValueError, match="preprocess=tf would give 100 %"):
        kd_keras.check_teacher(network, IMAGES, LABELS)
    with pytest.raises(ValueError, match="preprocess=tf would give predic"):
        kd_keras.check_teacher(path, IMAGES)
    teacher = kd_keras.load_teacher(path, preprocess="tf")
    kd_keras.check_teacher(teacher, IMAGES, LABELS)


def find(teacher, examples):
    logits = teacher(examples.images).numpy()
    return preprocess_trials.find(
        teacher, examples, logits=logits, labels=examples.labels
    )


@pytest.mark.slow
def test_a_good_or_equally_poor_teacher_is_left_alone():
    good = wrapping.as_teacher(by_brightness).preprocessed_by("tf")
    for labelled in (True, False):
        assert find(good, examples(labelled=labelled)) is None

    def whatever(images):
        """Right on about half of the images, however they are scaled."""
        images = tf.cast(images, tf.float32)
        order = tf.argsort(tf.reduce_mean(images, [1, 2, 3]))
        classes = tf.argsort(order) * CLASSES // len(images)
        wrong = tf.range(len(images)) % 2
        return tf.one_hot((classes + wrong) % CLASSES, CLASSES)

    labels = np.sort(LABELS)
    poor = wrapping.as_teacher(whatever)
    predicted = poor(images_of(labels)).numpy().argmax(axis=-1)
    assert 0.4 < np.mean(predicted == labels) < 0.6
    assert find(poor, examples(labels)) is None


@pytest.mark.slow
def test_a_right_teacher_of_uneven_data_is_left_alone():
    good = wrapping.as_teacher(by_brightness).preprocessed_by("tf")
    for labels in (np.full(200, 2), np.arange(200) % 10 // 9):
        assert find(good, examples(labels, labelled=False)) is None


def test_too_few_images_prove_nothing():
    wrong = wrapping.as_teacher(by_brightness)
    assert find(wrong, examples(LABELS[:40])) is None


def test_classes_in_another_order_are_no_preprocessing():
    def rolled(images):
        return tf.roll(by_brightness(images), 1, axis=-1)

    teacher = wrapping.as_teacher(rolled).preprocessed_by("tf")
    assert find(teacher, examples()) is None
    with pytest.raises(ValueError, match="in another order than the data"):
        check(teacher, examples())


def shifted_by(amount):
    """A teacher that sees images as darker than they are; 0-1 is right."""

    def function(images, darker):
        images = tf.cast(images, tf.float32)
        return by_brightness(2 * (images - darker / 255) - 1)

    right = wrapping.as_teacher(lambda images: function(images, 0))
    return right.replaced(
        function=lambda images: function(images / 255, amount),
        preprocess="caffe",
    )


@pytest.mark.parametrize(("amount", "is_far"), [(12, False), (15, True)])
def test_a_little_better_is_a_warning(caplog, amount, is_far):
    with caplog.at_level(logging.INFO, logger="kd_keras"):
        if is_far:
            with pytest.raises(ValueError, match="=0-1 would give 100 % right"):
                check(shifted_by(amount), examples())
            return
        check(shifted_by(amount), examples())
    first, warning = [record.getMessage() for record in caplog.records]
    assert first.startswith("teacher: 9")
    assert "teacher.preprocess=0-1 would give 100 % right instead" in warning
    assert "%" in warning


def test_an_own_function_is_only_warned_about(caplog):
    own = shifted_by(15).replaced(preprocess="my_images:prepare")
    with caplog.at_level(logging.WARNING, logger="kd_keras"):
        check(own, examples())
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "teacher.preprocess=0-1 would give 100 % right instead" in warning

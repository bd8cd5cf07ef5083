"""Logits that a teacher must not return."""

import distilling
import keras
import nets
import numpy as np
import pytest

import kd_keras


def test_different_class_counts_are_refused_with_both():
    student, images = nets.make_network(), nets.make_images()
    other = nets.make_network(num_classes=7)
    with pytest.raises(ValueError, match="student 5, teacher 7"):
        kd_keras.Distiller(student, other)
    # A callable tells only when it is called, logits when they come.
    with pytest.raises(ValueError, match="student 5, teacher 7"):
        distilling.distil(student, lambda x: other(x), images)
    logits = other.predict(images, verbose=0)
    with pytest.raises(ValueError, match="student 5, teacher 7"):
        distilling.distil(student, None, images, {"teacher_logits": logits})


def test_a_teacher_that_returns_nan_is_refused_before_any_update():
    student, images = nets.make_network(), nets.make_images(16)
    before = nets.snapshot(student)
    broken = nets.make_network()
    broken.layers[-1].bias.assign([0, 0, np.nan, 0, 0])
    with pytest.raises(ValueError, match="Received: 16 of 80 values"):
        distilling.distil(student, broken, images)
    assert not any(nets.moved(student, before))


def test_probabilities_for_logits_are_refused():
    network, images = nets.make_network(), nets.make_images()
    ends_in_softmax = keras.Sequential([network, keras.layers.Softmax()])
    with pytest.raises(ValueError, match=r"sum to (1|0\.99).*up to 1"):
        distilling.distil(nets.make_network(), ends_in_softmax, images)
    distiller = kd_keras.Distiller(nets.make_network(), ends_in_softmax)
    distiller.compile()
    with pytest.raises(ValueError, match="not probabilities"):
        distiller.evaluate(images, verbose=0)

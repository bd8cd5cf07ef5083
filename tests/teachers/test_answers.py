"""Answers of a live teacher."""

import nets
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.data import datasets
from kd_keras.teachers import answers, teacher


@pytest.fixture
def network():
    return nets.make_network()


def live_answers(network, loaded):
    def load():
        loaded.append(network)
        return teacher.Teacher(
            network, path="here", image_shape=None, num_classes=5
        )

    return answers.LiveAnswers(load, record={"fingerprint": "abc"})


def test_the_teacher_is_loaded_once_when_it_is_needed(network):
    loaded = []
    live = live_answers(network, loaded)
    assert live.record == {"teacher.fingerprint": "abc"}
    assert live.view_of(7) == 7
    assert not loaded
    live.open()
    assert live.num_classes == 5
    images = nets.make_images(3)
    outputs = live.part("test")(np.arange(3), 0, tf.constant(images))
    np.testing.assert_array_equal(outputs.logits, network(images))
    assert outputs.features == ()
    assert len(loaded) == 1


@pytest.mark.parametrize("labels", [False, True])
def test_batches_of_a_live_teacher_have_no_ids(network, labels):
    examples = datasets.Examples(
        nets.make_images(8).astype("uint8"), nets.make_labels(8)
    )
    live = live_answers(network, [])
    batches = live.join(examples.batches(4, labels=labels), 0)
    first = next(iter(batches))
    images = first[0] if labels else first
    np.testing.assert_array_equal(images, examples.images[:4])
    if labels:
        np.testing.assert_array_equal(first[1], examples.labels[:4])

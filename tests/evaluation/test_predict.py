"""The prediction loop: every example once, in order."""

import keras
import nets
import numpy as np
import pytest

from kd_keras.data import datasets, splits
from kd_keras.evaluation import predict
from kd_keras.teachers import answers, wrapping


@pytest.fixture(scope="module")
def examples():
    images = nets.make_images(101).astype("uint8")
    return datasets.Examples(images, nets.make_labels(101), num_classes=5)


@pytest.fixture(scope="module")
def networks():
    keras.utils.set_random_seed(3)
    return [nets.make_network() for _ in range(2)]


def test_validation_is_split_from_training_and_no_example_is_dropped(examples):
    train, validation = splits.split_off(examples, 31)
    assert not set(train.ids) & set(validation.ids)
    labels, outputs = predict.collect(
        lambda ids, images: {"ids": ids}, validation, labels=True, batch_size=8
    )
    np.testing.assert_array_equal(outputs["ids"], validation.ids)
    np.testing.assert_array_equal(labels, validation.labels)


def test_several_classifiers_predict_the_same_images(examples, networks):
    labels, logits = predict.predict(
        {
            "first": lambda images: networks[0](images).numpy(),
            "sums": lambda images: images.sum((1, 2, 3))[:, np.newaxis],
        },
        examples,
        batch_size=40,
    )
    np.testing.assert_array_equal(labels, examples.labels)
    expected = networks[0].predict(examples.images, verbose=0)
    np.testing.assert_allclose(logits["first"], expected, atol=1e-5)
    sums = examples.images.sum((1, 2, 3))
    # A single output is the logit of class 1 of two.
    expected = np.stack([np.zeros_like(sums), sums], axis=-1)
    np.testing.assert_array_equal(logits["sums"], expected)


@pytest.mark.parametrize("at_most", [1, 8, 11, 500])
def test_at_most_takes_the_first_examples(examples, at_most):
    labels, outputs = predict.collect(
        lambda ids, images: {"ids": ids},
        examples,
        labels=True,
        batch_size=8,
        at_most=at_most,
    )
    expected = examples.ids[:at_most]
    np.testing.assert_array_equal(outputs["ids"], expected)
    assert len(labels) == len(expected)


@pytest.mark.slow
def test_a_network_and_its_teacher_see_the_same_images(examples, networks):
    network, teacher = networks
    live = answers.LiveAnswers(lambda: wrapping.as_teacher(teacher), record={})
    labels, logits, teacher_logits = predict.with_teacher(
        network, live, examples
    )
    np.testing.assert_array_equal(labels, examples.labels)
    for found, model in ((logits, network), (teacher_logits, teacher)):
        expected = model.predict(examples.images, verbose=0)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(
        predict.answers_to(live, examples).logits, teacher_logits, atol=1e-5
    )
    assert predict.with_teacher(network, None, examples)[2] is None

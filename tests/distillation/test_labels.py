"""Labels in the batches of a Distiller: classes, or refused."""

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf
from distilling import distil

from kd_keras.distillation import labels as labels_lib
from kd_keras.distillation import trainer

LABELS = nets.make_labels(32).astype("int32")
ONE_HOT = np.eye(nets.NUM_CLASSES, dtype="float32")[LABELS]
LOGITS = np.zeros((32, nets.NUM_CLASSES), "float32")


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.astype("int64"),
        LABELS.astype("uint8"),
        LABELS.astype("float16"),
        LABELS[:, np.newaxis],
        ONE_HOT,
        ONE_HOT.astype("int64"),
        ONE_HOT > 0,
    ],
)
def test_all_forms_of_classes_are_integers(labels):
    integers = labels_lib.integer_labels(labels)
    assert integers.dtype in (tf.int32, tf.int64)
    np.testing.assert_array_equal(integers, LABELS)


def test_truth_values_are_two_classes():
    integers = labels_lib.integer_labels([True, False])
    np.testing.assert_array_equal(integers, [1, 0])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS + 0.5, "whole numbers"),
        (np.where(LABELS == 2, np.nan, LABELS), "whole numbers"),
        (0.9 * ONE_HOT + 0.02, "one-hot"),
        (np.ones_like(ONE_HOT), "one-hot"),
        (np.zeros((32, 7), int), "one-hot"),
        (LABELS + 1, "that the logits have"),
        (LABELS - 1, "that the logits have"),
    ],
)
@pytest.mark.parametrize(
    "function", [labels_lib.accuracy, labels_lib.hard_loss]
)
def test_labels_that_are_no_classes_are_refused(labels, message, function):
    @tf.function
    def step(labels, logits):
        return function(labels_lib.integer_labels(labels), logits)

    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        step(labels, LOGITS)


def test_labels_of_other_shapes_and_types_are_refused():
    with pytest.raises(ValueError, match=r"one-hot. Received.*\(32, 2, 2\)"):
        labels_lib.integer_labels(np.zeros((32, 2, 2), int))
    for text in (np.array(["cat"]), tf.constant(["cat"])):
        with pytest.raises(ValueError, match="from 0 on. Received: text"):
            labels_lib.check_given({"labels": text}, None)


@pytest.mark.slow
def test_fit_explains_them_with_and_without_a_loss_on_labels():
    teacher, images = nets.make_network(), nets.make_images(32)
    for weight, labels, message in (
        (0.0, LABELS - 1, "labels from -1 to 3 for 5 classes.*withheld"),
        (0.5, 0.9 * ONE_HOT, "one-hot. Received: 16 of 16 rows.*soft labels"),
    ):
        student = nets.make_network()
        with pytest.raises(ValueError, match=message):
            distil(student, teacher, images, labels, hard_loss_weight=weight)
    network = trainer.SupervisedTrainer(student)
    network.compile(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="to 5 for 5 classes"):
        network.fit(images, LABELS + 1, verbose=0)

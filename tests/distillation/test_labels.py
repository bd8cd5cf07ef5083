"""Labels in the batches of a Distiller: classes, or refused."""

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf
from distilling import compiled, distil

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
            labels_lib.check_given(LOGITS, {"labels": text}, None, None)
    with pytest.raises(ValueError, match="Received: int32 of shape <unknown>"):
        tf.function(labels_lib.integer_labels).get_concrete_function(
            tf.TensorSpec(None, tf.int32)
        )


def test_one_hot_labels_have_a_column_for_each_logit():
    labels_lib.check_columns(ONE_HOT, nets.NUM_CLASSES)
    labels_lib.check_columns(ONE_HOT, None)
    labels_lib.check_columns(LABELS, nets.NUM_CLASSES)
    for train in (network_on_labels(), distiller()):
        wider = np.pad(ONE_HOT, ((0, 0), (0, 2)))
        with pytest.raises(ValueError, match="Received: 7 columns, 5 logits"):
            train.fit(nets.make_images(32), wider, verbose=0)


def test_weights_are_one_for_each_example():
    for weights in (np.ones(32), np.ones((32, 1))):
        found = labels_lib.example_weights(weights, LOGITS[:, 0])
        assert found.shape == (32,)
    with pytest.raises(ValueError, match=r"each example.*\(32, 3\)"):
        labels_lib.example_weights(np.ones((32, 3)), LOGITS[:, 0])


@pytest.mark.parametrize("y", [None, {"labels": LABELS}])
def test_weights_of_classes_need_labels_alone(y):
    with pytest.raises(ValueError, match="class_weight needs labels alone"):
        distiller().fit(nets.make_images(32), y, class_weight={0: 2.0})
    batch = LOGITS if y is None else (LOGITS, y)
    data = tf.data.Dataset.from_tensor_slices(batch).batch(16)
    with pytest.raises(ValueError, match="labels alone as y.*Received"):
        distiller().fit(data, class_weight={0: 2.0}, verbose=0)


def distiller():
    return compiled(nets.make_network(), nets.make_network())


def network_on_labels():
    network = trainer.SupervisedTrainer(nets.make_network())
    network.compile(keras.optimizers.SGD(0.1))
    return network


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
    with pytest.raises(ValueError, match="to 5 for 5 classes"):
        network_on_labels().fit(images, LABELS + 1, verbose=0)

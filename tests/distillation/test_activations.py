"""Binary and multi-label students."""

import distilling
import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.distillation import activations, losses

COUNT = 32


def networks(num_labels):
    return [nets.make_network(num_classes=num_labels) for _ in range(2)]


def make_labels(num_labels):
    return np.random.default_rng(1).integers(0, 2, (COUNT, num_labels))


def logits_of(network, images):
    return network.predict(images, verbose=0).astype("float64")


@pytest.mark.slow
@pytest.mark.parametrize("num_labels", [1, 3])
def test_one_step_is_the_gradient_of_binary_losses(num_labels):
    teacher, student = networks(num_labels)
    by_hand, images = nets.copy_of(student), nets.make_images(COUNT)
    labels = make_labels(num_labels)
    z, v = logits_of(student, images), logits_of(teacher, images)
    _, logs = distilling.distil(
        student,
        teacher,
        images,
        labels,
        soft_loss="binary_kl",
        hard_loss_weight=0.5,
        batch_size=COUNT,
        metrics=[keras.metrics.BinaryAccuracy(name="same", threshold=0.0)],
    )

    def loss():
        logits = by_hand(images)
        soft = losses.binary_kl_loss(
            teacher_logits=v,
            student_logits=logits,
            temperature=distilling.TEMPERATURE,
        )
        hard = tf.nn.sigmoid_cross_entropy_with_logits(
            labels.astype("float32"), logits
        )
        return tf.reduce_mean(soft + 0.5 * tf.reduce_sum(hard, axis=-1))

    distilling.plain_step(by_hand, loss)
    nets.assert_same_weights(student, by_hand, atol=1e-5)
    cross_entropy = np.sum(np.logaddexp(0, z) - labels * z, axis=-1)
    assert logs["hard_loss"] == pytest.approx(np.mean(cross_entropy), rel=1e-4)
    assert logs["accuracy"] == pytest.approx(np.mean((z > 0) == labels))
    assert logs["same"] == pytest.approx(logs["accuracy"])
    assert logs["agreement"] == pytest.approx(np.mean((z > 0) == (v > 0)))


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32", "bool"])
def test_labels_of_one_logit_have_any_type(dtype):
    labels = make_labels(1)[:, 0].astype(dtype)
    for given in (labels, labels[:, np.newaxis]):
        found = activations.yes_or_no(given)
        assert found.dtype == tf.float32
        np.testing.assert_array_equal(found[:, 0], labels.astype("float32"))


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.arange(COUNT) % 3, r"for each of the 3 logits.*\(\w+, 1\)"),
        (np.ones((COUNT, 2)), r"for each of the 3 logits.*\(\w+, 2\)"),
        (np.full((COUNT, 3), -1), "from 0 to 1. Received: labels from -1"),
        (np.full((COUNT, 3), 2), "Received: labels from 2"),
        (np.ones((COUNT, 3, 1)), "of shape .batch,. or .batch, num_labels."),
    ],
)
def test_other_labels_are_refused(labels, words, run_eagerly):
    teacher, student = networks(3)
    distiller = distilling.compiled(student, teacher, soft_loss="binary_kl")
    distiller.compile("sgd", run_eagerly=run_eagerly)
    with pytest.raises(ValueError, match=words):
        distiller.fit(nets.make_images(COUNT), labels, verbose=0)


@pytest.mark.slow
def test_a_binary_student_learns_its_teacher():
    teacher, student = networks(1)
    images = nets.make_images(COUNT)
    _, logs = distilling.distil(
        student,
        teacher,
        images,
        soft_loss="binary_kl",
        epochs=20,
        optimizer=keras.optimizers.Adam(0.02),
    )
    assert logs["loss"] < 0.02

"""Properties of every loss in the table."""

import by_hand
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.distillation import losses


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_is_float32_with_no_gradient_into_the_teacher(name):
    teacher = tf.constant(by_hand.random_logits(0), tf.float16)
    student = tf.constant(by_hand.random_logits(1), tf.float16)
    with tf.GradientTape() as tape:
        tape.watch([teacher, student])
        loss = losses.LOSSES[name](
            teacher_logits=teacher, student_logits=student, temperature=4.0
        )
    assert loss.dtype == tf.float32 and loss.shape == (5,)
    of_teacher, of_student = tape.gradient(loss, [teacher, student])
    assert of_teacher is None
    assert np.abs(of_student).max() > 1e-3


@pytest.mark.parametrize("name", losses.LOSSES)
@pytest.mark.parametrize("standardize", [False, True])
def test_every_loss_learns_from_extreme_logits(name, standardize):
    """Sure and wrong, and constant: the gradient stays finite."""
    if standardize and name != "kl":
        pytest.skip("a switch of kl alone")
    options = {"standardize": True} if standardize else {}
    teacher = np.array([[40.0, 0, 0], [0, 0, 0], [0, 90, 0]])
    student = tf.constant([[0.0, 40, 0], [0, 0, 0], [5, 5, 5]])
    with tf.GradientTape() as tape:
        tape.watch(student)
        loss = losses.LOSSES[name](
            teacher_logits=teacher,
            student_logits=student,
            temperature=1.0,
            **options,
        )
    gradient = tape.gradient(loss, student).numpy()
    assert np.isfinite(loss).all() and np.isfinite(gradient).all()
    assert loss[0] > 0.1
    # Towards the right class, however sure and wrong the student is; only the
    # correlation of saturated probabilities has no slope.
    if name != "dist":
        assert gradient[0, 0] < -1e-3


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_refuses_other_class_counts(name):
    with pytest.raises(ValueError, match=r"\(2, 4\).*\(2, 3\)"):
        losses.LOSSES[name](
            teacher_logits=np.zeros((2, 4)),
            student_logits=np.zeros((2, 3)),
            temperature=1.0,
        )


def test_losses_declare_their_activation():
    found = {name: losses.activation_of(name) for name in losses.LOSSES}
    assert found.pop("binary_kl") == "sigmoid"
    assert set(found.values()) == {"softmax"}
    assert losses.activation_of(losses.binary_kl_loss) == "sigmoid"
    assert losses.activation_of(lambda **logits: None) == "softmax"

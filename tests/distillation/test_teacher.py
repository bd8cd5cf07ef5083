"""The Distiller's teacher: never changed, any callable, checked."""

import distilling
import nets
import pytest
import tensorflow as tf


@pytest.mark.slow
def test_the_teacher_is_in_inference_mode_and_is_not_trained():
    teacher = (
        nets.make_network_with_state()
    )  # trainable, with dropout and BatchNorm
    images = nets.make_images()
    before = nets.snapshot(teacher)
    student = nets.copy_of(teacher)
    logs = distilling.compiled(student, teacher).evaluate(
        images, return_dict=True, verbose=0
    )
    # With dropout on, the copy could not agree with it.
    assert logs["loss"] == pytest.approx(0, abs=1e-5)
    distilling.compiled(nets.make_network(), teacher).fit(
        images, epochs=2, verbose=0
    )
    assert not any(nets.moved(teacher, before))


@pytest.mark.slow
def test_training_leaves_the_caller_s_teacher_unchanged():
    teacher = nets.make_network_with_state()
    teacher.layers[2].trainable = False
    flags = [layer.trainable for layer in teacher.layers]
    config, weights = teacher.get_config(), nets.snapshot(teacher)
    distilling.compiled(nets.make_network(), teacher).fit(
        nets.make_images(), verbose=0
    )
    assert [layer.trainable for layer in teacher.layers] == flags
    assert teacher.trainable and teacher.get_config() == config
    assert not any(nets.moved(teacher, weights))


@pytest.mark.slow
def test_a_teacher_may_be_any_callable():
    student, images = nets.make_network(), nets.make_images()
    teacher = nets.make_network()
    copy = nets.copy_of(student)
    distilling.distil(student, teacher, images)
    distilling.distil(copy, lambda x: tf.cast(teacher(x), tf.float16), images)
    nets.assert_same_weights(student, copy, atol=1e-3)


@pytest.mark.slow
def test_the_student_moves_to_the_teacher():
    teacher, student = nets.make_network(), nets.make_network()
    images = nets.make_images()
    before = nets.snapshot(teacher)
    distiller = distilling.compiled(student, teacher)
    losses_seen = distiller.fit(images, epochs=5, verbose=0).history["loss"]
    assert losses_seen[-1] < losses_seen[0]
    assert not any(nets.moved(teacher, before))

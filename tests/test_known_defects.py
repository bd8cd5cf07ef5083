"""What goes wrong in public distillation code, and does not here.

Each test shows the absence of one defect that is known from other projects.
"""

import json
import zipfile

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.deployment import saved_model as exports
from kd_keras.distillation import losses
from kd_keras.training import devices


def compiled(student, teacher, **options):
    distiller = kd_keras.Distiller(student, teacher, **options)
    distiller.compile(optimizer=keras.optimizers.SGD(0.05))
    return distiller


def network_with_state(**options):
    return nets.make_network(batch_norm=True, dropout=0.5, **options)


def test_01_softmax_is_applied_so_a_shifted_student_has_no_loss():
    teacher = np.array([[1.0, 2.0, 3.0]])
    loss, gradient = nets.loss_and_gradient(teacher, teacher + 5, 4.0)
    np.testing.assert_allclose(loss, 0, atol=1e-5)
    np.testing.assert_allclose(gradient, 0, atol=1e-5)


def test_02_nothing_is_clipped_so_a_confident_error_has_its_gradient():
    loss, gradient = nets.loss_and_gradient(
        [[20.0, 0.0, 0.0]], [[0.0, 20.0, 0.0]], 1.0
    )
    np.testing.assert_allclose(loss, 20, atol=1e-4)
    np.testing.assert_allclose(gradient, [[-1, 1, 0]], atol=1e-4)


def test_03_the_divergence_is_summed_over_classes():
    # ln 2 between (1/2, 1/2, 0...) and (1/4, 1/4, 1/4, 1/4, 0...).
    teacher = np.full((1, 10), -1e4)
    student = np.full((1, 10), -1e4)
    teacher[0, :2] = 0
    student[0, :4] = 0
    loss, _ = nets.loss_and_gradient(teacher, student, 1.0)
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-5)


@pytest.mark.parametrize("hard_loss_weight", [0.0, 0.5])
def test_04_the_temperature_squared_is_there_with_and_without_hard_loss(
    hard_loss_weight,
):
    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(), nets.make_labels()
    temperature = 7.0
    logs = compiled(
        student,
        teacher,
        temperature=temperature,
        hard_loss_weight=hard_loss_weight,
    ).evaluate(images, labels, return_dict=True, verbose=0)
    p, q = (
        tf.nn.softmax(network.predict(images, verbose=0) / temperature)
        for network in (teacher, student)
    )
    divergence = np.mean(keras.losses.kl_divergence(p, q))
    assert logs["soft_loss"] == pytest.approx(49 * divergence, rel=1e-3)


def test_05_teacher_and_student_are_not_confused():
    # KL(p || q) is not KL(q || p), and the teacher's side has no gradient.
    a, b = [[2.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]
    forward, _ = nets.loss_and_gradient(a, b, 1.0)
    backward, _ = nets.loss_and_gradient(b, a, 1.0)
    p = np.exp(2) / (np.exp(2) + 2), 1 / (np.exp(2) + 2)
    by_hand = p[0] * np.log(3 * p[0]) + 2 * p[1] * np.log(3 * p[1])
    np.testing.assert_allclose(forward, by_hand, rtol=1e-5)
    assert abs(forward - backward) > 0.04
    # And in training: the student moves to the teacher, which stays.
    teacher, student = nets.make_network(), nets.make_network()
    images = nets.make_images()
    before = nets.snapshot(teacher)
    distiller = compiled(student, teacher)
    losses_seen = distiller.fit(images, epochs=5, verbose=0).history["loss"]
    assert losses_seen[-1] < losses_seen[0]
    assert not any(nets.moved(teacher, before))


def test_06_the_teacher_is_in_inference_mode_and_is_not_trained():
    teacher = network_with_state()  # trainable, with dropout and BatchNorm
    images = nets.make_images()
    before = nets.snapshot(teacher)
    student = nets.copy_of(teacher)
    logs = compiled(student, teacher).evaluate(
        images, return_dict=True, verbose=0
    )
    # With dropout on, the copy could not agree with it.
    assert logs["loss"] == pytest.approx(0, abs=1e-5)
    compiled(nets.make_network(), teacher).fit(images, epochs=2, verbose=0)
    assert not any(nets.moved(teacher, before))


def units_in(config):
    """The set of all values under the key `units`, at any depth."""
    if isinstance(config, list):
        return set().union(*map(units_in, config))
    if not isinstance(config, dict):
        return set()
    own = {config["units"]} if "units" in config else set()
    return own.union(*map(units_in, config.values()))


def test_07_the_teacher_is_in_no_weights_checkpoint_or_file(tmp_path):
    student, teacher = nets.make_network(units=3), nets.make_network(units=77)
    distiller = compiled(student, teacher)
    distiller.fit(nets.make_images(), verbose=0)
    assert len(distiller.weights) == len(student.weights)
    tf.train.Checkpoint(distiller).save(str(tmp_path / "checkpoint"))
    shapes = [shape for _, shape in tf.train.list_variables(str(tmp_path))]
    assert not any(77 in shape for shape in shapes)
    distiller.save_weights(tmp_path / "distiller.weights.h5")
    distiller.save(tmp_path / "distiller.keras")
    with zipfile.ZipFile(tmp_path / "distiller.keras") as archive:
        config = json.loads(archive.read("config.json"))
        # Not as a search in the text: that holds the identities of objects
        # too, in whose digits a 77 may stand.
        assert units_in(config) == {3, 5}
        archive.extract("model.weights.h5", tmp_path)
    import h5py

    sizes = []
    for name in ("distiller.weights.h5", "model.weights.h5"):
        with h5py.File(tmp_path / name) as file:
            file.visititems(
                lambda _, item: sizes.append(getattr(item, "shape", ()))
            )
    assert (64, 3) in sizes
    assert not any(77 in shape for shape in sizes)
    exports.export_saved_model(student, tmp_path / "saved")
    variables = tf.train.list_variables(
        str(tmp_path / "saved/variables/variables")
    )
    assert not any(77 in shape for _, shape in variables)


def test_08_two_replicas_make_the_update_of_one():
    images = nets.make_images(10)
    teacher = nets.make_network()
    steps = []
    for strategy in (tf.distribute.get_strategy(), devices.make_strategy("2")):
        keras.utils.set_random_seed(3)
        with strategy.scope():
            student = nets.make_network()
            distiller = compiled(student, teacher)
        before = nets.snapshot(student)
        distiller.fit(images, batch_size=10, shuffle=False, verbose=0)
        steps.append([a - b for a, b in zip(student.get_weights(), before)])
    for one, two in zip(*steps):
        np.testing.assert_allclose(two, one, atol=1e-7)
    assert max(np.abs(step).max() for step in steps[0]) > 1e-3


def test_09_logs_are_exact_means_not_the_last_batch_s():
    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(33), nets.make_labels(33)
    logs = compiled(student, teacher).evaluate(
        images, labels, batch_size=32, return_dict=True, verbose=0
    )
    right = student.predict(images, verbose=0).argmax(-1) == labels
    assert logs["accuracy"] == pytest.approx(right.mean(), abs=1e-6)
    assert logs["accuracy"] != right[32:].mean()


def test_10_regularisation_and_sample_weights_count():
    teacher, images = nets.make_network(), nets.make_images(16)
    labels = nets.make_labels(16)
    plain = nets.make_network()
    heavy = nets.make_network(regularizer=keras.regularizers.L2(0.1))
    heavy.set_weights(plain.get_weights())
    weighted = nets.copy_of(plain)
    start = plain.get_weights()[0]
    for student, weights in (
        (plain, None),
        (heavy, None),
        (weighted, np.linspace(0, 1, 16)),
    ):
        compiled(student, teacher).fit(
            images, labels, sample_weight=weights, batch_size=16, verbose=0
        )
    # The penalty's gradient is 0.2 times the kernel; the step 0.05 of it.
    np.testing.assert_allclose(
        heavy.get_weights()[0],
        plain.get_weights()[0] - 0.05 * 0.2 * start,
        atol=1e-5,
    )
    moved = np.abs(weighted.get_weights()[0] - plain.get_weights()[0])
    assert moved.max() > 1e-4
    # What Keras would drop silently is refused.
    with pytest.raises(ValueError, match="sample_weight needs a y"):
        compiled(plain, teacher).fit(images, sample_weight=labels)


def test_11_evaluate_changes_nothing_and_a_step_is_one_forward_pass():
    student, teacher = network_with_state(), nets.make_network()
    images = nets.make_images(16)
    distiller = compiled(student, teacher)
    before = nets.snapshot(student)
    distiller.evaluate(images, verbose=0)
    assert not any(nets.moved(student, before))
    norm = next(
        layer
        for layer in student.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    features = keras.Model(student.inputs, norm.input)
    activations = features.predict(images, verbose=0)
    distiller.fit(images, batch_size=16, shuffle=False, verbose=0)
    # From 0, once: momentum 0.99 leaves 1 % of the batch's mean.
    np.testing.assert_allclose(
        norm.moving_mean, 0.01 * activations.mean(0), atol=1e-5
    )


def test_15_the_loss_of_float16_logits_is_float32():
    teacher = np.array([[12.0, 0.0, -12.0]])
    student = np.array([[-12.0, 0.0, 12.0]])
    exact, _ = nets.loss_and_gradient(teacher, student, 1.0)
    half = losses.distillation_loss(
        teacher_logits=teacher.astype("float16"),
        student_logits=student.astype("float16"),
        temperature=1.0,
    )
    assert half.dtype == tf.float32
    np.testing.assert_allclose(half, exact, rtol=1e-6)


def test_17_the_caller_s_teacher_is_as_it_was():
    teacher = network_with_state()
    teacher.layers[2].trainable = False
    flags = [layer.trainable for layer in teacher.layers]
    config, weights = teacher.get_config(), nets.snapshot(teacher)
    compiled(nets.make_network(), teacher).fit(nets.make_images(), verbose=0)
    assert [layer.trainable for layer in teacher.layers] == flags
    assert teacher.trainable and teacher.get_config() == config
    assert not any(nets.moved(teacher, weights))

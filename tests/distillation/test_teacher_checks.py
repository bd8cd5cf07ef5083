"""Logits that a teacher must not return."""

import distilling
import keras
import nets
import numpy as np
import pytest

import kd_keras


@pytest.mark.slow
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


def test_logits_without_an_axis_of_classes_are_refused():
    distiller = distilling.compiled(nets.make_network(), None)
    given = {"teacher_logits": np.zeros(16, "float32")}
    with pytest.raises(ValueError, match=r"\(batch, num_classes\). Received: "):
        distiller.fit(nets.make_images(16), given, verbose=0)


def test_a_teacher_that_returns_nan_is_refused_before_any_update():
    student, images = nets.make_network(), nets.make_images(16)
    before = nets.snapshot(student)
    broken = nets.make_network()
    broken.layers[-1].bias.assign([0, 0, np.nan, 0, 0])
    with pytest.raises(ValueError, match="Received: 16 of 80 values"):
        distilling.distil(student, broken, images)
    assert not any(nets.moved(student, before))


def ending(activation, num_classes=nets.NUM_CLASSES):
    network = nets.make_network(num_classes=num_classes)
    return keras.Sequential([network, keras.layers.Activation(activation)])


@pytest.mark.parametrize(
    ("activation", "soft_loss"),
    [("softmax", "kl"), ("sigmoid", "kl"), ("sigmoid", "binary_kl")],
)
def test_a_known_last_activation_is_refused_at_once(activation, soft_loss):
    for networks in (
        (nets.make_network(), ending(activation)),
        (ending(activation), nets.make_network()),
    ):
        with pytest.raises(ValueError, match=f"logits.*ends in {activation}"):
            kd_keras.Distiller(*networks, soft_loss=soft_loss)


@pytest.mark.slow
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_probabilities_are_known_by_their_values(run_eagerly):
    model, images = ending("softmax"), nets.make_images()
    distiller = kd_keras.Distiller(nets.make_network(), lambda x: model(x))
    distiller.compile(run_eagerly=run_eagerly)
    words = r"not probabilities. Received: rows .* to (1|0\.9).* up to 1"
    for step in (distiller.fit, distiller.evaluate, distiller.train_on_batch):
        with pytest.raises(ValueError, match=words):
            step(images)


@pytest.mark.slow
def test_logits_may_all_be_from_0_to_1():
    teacher = ending("sigmoid")
    distilling.distil(
        nets.make_network(), lambda x: teacher(x), nets.make_images()
    )


@pytest.mark.slow
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_student_of_unknown_layers_must_not_end_in_softmax(run_eagerly):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = ending("softmax")

        def call(self, images):
            return self.inner(images)

    distiller = kd_keras.Distiller(Own(), nets.make_network())
    distiller.compile(run_eagerly=run_eagerly)
    with pytest.raises(ValueError, match="student must return logits"):
        distiller.fit(nets.make_images(), verbose=0)


@pytest.mark.parametrize("soft_loss", ["kl", "dkd", "dist", "mse"])
def test_softmax_needs_two_logits(soft_loss):
    student, teacher = (nets.make_network(num_classes=1) for _ in range(2))
    images = nets.make_images()
    for given in (teacher, lambda x: teacher(x)):
        with pytest.raises(ValueError, match="binary_kl.*Received: 1"):
            distilling.distil(student, given, images, soft_loss=soft_loss)


def test_a_loaded_teacher_s_activation_must_fit_the_loss(tmp_path):
    ending("sigmoid").save(tmp_path / "sigmoid.keras")
    teacher = kd_keras.load_teacher(
        tmp_path / "sigmoid.keras", outputs="probabilities"
    )
    with pytest.raises(ValueError, match="soft_loss must be binary_kl"):
        kd_keras.Distiller(nets.make_network(), teacher)
    kd_keras.Distiller(nets.make_network(), teacher, soft_loss="binary_kl")

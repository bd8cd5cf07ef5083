"""Teachers that share weights with the student are never changed."""

import keras
import nets
import pytest

import kd_keras


def head(base):
    return keras.Sequential([base, keras.layers.Dense(nets.NUM_CLASSES)])


@pytest.fixture
def base():
    return nets.make_network(num_classes=6)


def fit(student, teacher, **options):
    distiller = kd_keras.Distiller(student, teacher)
    distiller.compile("sgd", **options)
    distiller.fit(nets.make_images(16), verbose=0)


@pytest.mark.parametrize(
    "as_teacher",
    [lambda model: model, lambda model: lambda x: model(x, training=False)],
    ids=["model", "function"],
)
def test_a_teacher_whose_layers_would_be_trained_is_refused(base, as_teacher):
    teacher, before = head(base), nets.snapshot(base)
    with pytest.raises(ValueError, match=r"copy .*clone_model.* 4 such"):
        fit(head(base), as_teacher(teacher))
    assert not any(nets.moved(base, before))


def test_a_student_that_is_its_own_teacher_is_refused(base):
    with pytest.raises(ValueError, match="must not train weights"):
        fit(base, base, run_eagerly=True)


def test_shared_moving_averages_are_refused():
    norm = keras.layers.BatchNormalization(center=False, scale=False)
    flat = keras.Sequential([keras.layers.Flatten(), norm])
    flat.build((None, *nets.make_images(1).shape[1:]))
    with pytest.raises(ValueError, match="moving_mean"):
        fit(head(flat), head(flat))


@pytest.mark.slow
def test_frozen_layers_may_be_shared_until_they_are_trained(base):
    base.trainable = False
    student, teacher = head(base), head(base)
    shared = nets.snapshot(base)
    fit(student, teacher)
    before = nets.snapshot(teacher)
    fit(student, teacher)
    assert not any(nets.moved(teacher, before))
    base.trainable = True
    with pytest.raises(ValueError, match="must not train weights"):
        fit(student, teacher)
    assert not any(nets.moved(base, shared))

"""Students and teachers in the forms in which people write them."""

import os
import subprocess
import sys

import distilling
import keras
import nets
import numpy as np
import pytest
import subclassed

import kd_keras


def built():
    model = subclassed.Heads()
    model(nets.make_images(1))
    return model


@pytest.mark.slow
@pytest.mark.parametrize("make", [built, subclassed.Heads])
def test_subclassed_models_are_students_and_teachers(make):
    student, images = make(), nets.make_images(16)
    before = nets.snapshot(student)
    _, logs = distilling.distil(student, make(), images)
    assert np.isfinite(logs["loss"])
    assert student.dense.kernel.shape == (64, subclassed.NUM_CLASSES)
    if before:
        assert all(nets.moved(student, before))


@pytest.mark.slow
def test_the_outputs_of_student_and_teacher_are_chosen():
    inputs = keras.Input(nets.IMAGE_SHAPE)
    flat = keras.layers.Flatten()(inputs)
    heads = [keras.layers.Dense(5, name=name)(flat) for name in ("a", "b")]
    student = keras.Model(inputs, heads)
    before = nets.snapshot(student)
    distilling.distil(
        student,
        keras.Model(inputs, {"x": flat, "y": heads[0]}).predict_on_batch,
        nets.make_images(16),
        student_output="b",
        teacher_output="y",
    )
    # The other head has no gradient.
    assert nets.moved(student, before) == [False, False, True, True]
    with pytest.raises(ValueError, match="student_output must be"):
        kd_keras.Distiller(student, nets.make_network())


@pytest.mark.slow
def test_images_in_a_dict_of_one():
    def network():
        image = keras.Input(nets.IMAGE_SHAPE, name="image")
        flat = keras.layers.Flatten()(image)
        return keras.Model({"image": image}, keras.layers.Dense(5)(flat))

    images = nets.make_images(16)
    student, teacher = network(), network()
    distiller = distilling.compiled(student, teacher)
    given = {"teacher_logits": teacher.predict({"image": images}, verbose=0)}
    expected = distiller.evaluate({"image": images}, given, verbose=0)
    found = distiller.evaluate({"image": images}, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


_ON_ONE_CORE = """
import os
os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
import kd_keras
import keras, numpy
def network():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
distiller = kd_keras.Distiller(network(), network().predict_on_batch)
distiller.compile("sgd")
distiller.fit(numpy.ones((4, 4)), verbose=0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_a_teacher_that_calls_tensorflow_does_not_hang_on_one_core():
    environment = dict(os.environ)
    environment.pop("TF_NUM_INTEROP_THREADS", None)
    subprocess.run(
        [sys.executable, "-c", _ON_ONE_CORE],
        env=environment,
        check=True,
        timeout=300,
    )


@pytest.mark.slow
def test_the_output_of_a_saved_model_layer_is_its_logits(tmp_path):
    teacher, images = nets.make_network(), nets.make_images(16)
    teacher.export(str(tmp_path / "saved"), verbose=False)
    layer = keras.layers.TFSMLayer(
        str(tmp_path / "saved"), call_endpoint="serving_default"
    )
    student = nets.make_network()
    copy = nets.copy_of(student)
    distilling.distil(student, layer, images.astype("uint8"))
    distilling.distil(copy, teacher, images)
    nets.assert_same_weights(student, copy, atol=1e-6)


def test_a_student_without_trainable_weights_is_refused():
    student = nets.make_network()
    student.trainable = False
    with pytest.raises(ValueError, match="must have trainable weights"):
        distilling.distil(student, nets.make_network(), nets.make_images(16))

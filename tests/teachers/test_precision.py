"""Teachers that compute in bfloat16."""

import types

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.teachers import loading, precision
from kd_keras.teachers.options import TeacherOptions
from kd_keras.utils import processor

needs_bfloat16 = pytest.mark.skipif(
    not processor.has_bfloat16(), reason="a processor without bfloat16"
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Path of a network with convolutions, as a SavedModel."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )
    path = tmp_path_factory.mktemp("teachers") / "saved"
    network.export(path, verbose=False)
    return path


def loaded(path, name):
    return kd_keras.load_teacher(path, precision=name)


def error(ours, exact):
    """The largest error as a share of the logits' spread."""
    return np.abs(ours - exact).max() / exact.std()


@needs_bfloat16
def test_logits_are_those_of_float32_up_to_rounding(saved):
    images = nets.make_images(64)
    exact = loaded(saved, "float32")(images).numpy()
    rounded = loaded(saved, "bfloat16")(images).numpy()
    assert rounded.dtype == np.float32
    # float32 rounds to 1e-7, bfloat16 to 4e-3.
    assert 1e-4 < error(rounded, exact) < 0.05


@pytest.mark.slow
@needs_bfloat16
def test_what_surrounds_the_teacher_stays_in_float32(saved):
    images = tf.constant(nets.make_images(64))
    exact, teacher = loaded(saved, "float32"), loaded(saved, "bfloat16")

    @tf.function(autograph=False)
    def both(images):
        return exact(images), teacher(images)

    alone, rounded = [x.numpy() for x in both(images)]
    np.testing.assert_array_equal(alone, exact(images).numpy())
    assert error(rounded, alone) > 1e-4
    # Nor does it leave TensorFlow's options changed.
    options = tf.config.optimizer.get_experimental_options()
    assert not options.get(precision._PASS)


@pytest.mark.slow
@needs_bfloat16
def test_a_training_step_has_the_logits_of_a_call(saved):
    images = nets.make_images(16)
    teacher = loaded(saved, "bfloat16")
    student = nets.make_network()
    live = kd_keras.Distiller(keras.models.clone_model(student), teacher)
    given = kd_keras.Distiller(keras.models.clone_model(student), None)
    for distiller in (live, given):
        distiller.student.set_weights(student.get_weights())
    for distiller in (live, given):
        distiller.compile(keras.optimizers.SGD(0.1))
    logs = live.train_on_batch(images, return_dict=True)
    targets = {"teacher_logits": teacher(images)}
    assert logs == given.train_on_batch(images, targets, return_dict=True)


def test_a_store_knows_the_precision_of_its_teacher():
    assert "precision" not in TeacherOptions().record()
    options = TeacherOptions(precision="bfloat16")
    assert options.record()["precision"] == "bfloat16"


@pytest.mark.parametrize(
    "name", ["onnx", "torch_export", "python_function", "probe"]
)
def test_teachers_of_other_runtimes_are_refused(name):
    (kind,) = [kind for kind in loading.KINDS if kind.name == name]
    teacher = types.SimpleNamespace(path="a teacher")
    with pytest.raises(ValueError, match="a teacher, which another runtime"):
        precision.computing_in("bfloat16", teacher, kind)


def test_a_processor_without_bfloat16_is_refused(saved, monkeypatch):
    monkeypatch.setattr(processor, "_flags", lambda: "avx2 avx512f")
    with pytest.raises(ValueError, match=r"needs a processor with.*\(AMX or"):
        loaded(saved, "bfloat16")
    assert loaded(saved, "float32").num_classes == 5


def test_other_names_are_refused(saved):
    with pytest.raises(ValueError, match="float32"):
        loaded(saved, "bf16")

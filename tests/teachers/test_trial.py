"""Teachers whose outputs are not of the declared kind."""

import keras
import nets
import numpy as np
import pytest
import scipy.special

import kd_keras
from kd_keras.teachers import trial
from kd_keras.teachers.teacher import Teacher


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """SavedModels of one network that end in logits, softmax or sigmoids."""
    directory = tmp_path_factory.mktemp("teachers")
    network = nets.make_network()
    for name in ("linear", "softmax", "sigmoid"):
        ending = keras.layers.Activation(name)(network.output)
        model = keras.Model(network.input, ending)
        model.export(str(directory / name), verbose=False)
    return directory


def test_softmax_must_be_declared(paths):
    with pytest.raises(ValueError, match="must return logits.*ends in softmax"):
        kd_keras.load_teacher(paths / "softmax")
    with pytest.raises(ValueError, match="ends in softmax"):
        kd_keras.Distiller(nets.make_network(), paths / "softmax")
    images = nets.make_images(4)
    teacher = kd_keras.load_teacher(paths / "softmax", outputs="probabilities")
    logits = kd_keras.load_teacher(paths / "linear")(images)
    expected = scipy.special.log_softmax(logits, axis=-1)
    np.testing.assert_allclose(teacher(images), expected, atol=1e-3)


@pytest.mark.parametrize("name", ["linear", "sigmoid"])
def test_other_outputs_are_no_probabilities_of_classes(paths, name):
    with pytest.raises(ValueError, match="sum to 1.*label_probabilities"):
        kd_keras.load_teacher(paths / name, outputs="probabilities")


def test_sigmoids_become_their_logits(paths):
    images = nets.make_images(4)
    teacher = kd_keras.load_teacher(
        paths / "sigmoid", outputs="label_probabilities"
    )
    logits = kd_keras.load_teacher(paths / "linear")(images)
    np.testing.assert_allclose(teacher(images), logits, rtol=1e-3, atol=1e-3)


def test_images_of_any_size_are_not_tried():
    def called(images):
        raise AssertionError(images)

    teacher = Teacher(
        called, path="", image_shape=(None, None, 1), num_classes=5
    )
    trial.check_outputs(teacher)

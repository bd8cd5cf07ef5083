"""Batches with another range of values than the teacher's are refused."""

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf
from distilling import compiled

from kd_keras.deployment import saved_model
from kd_keras.models import image_spec
from kd_keras.teachers import image_checks, loading
from kd_keras.teachers import teacher as teacher_lib

FRACTIONS = np.random.default_rng(0).random((4, 5, 5, 1)).astype("float32")
FRACTIONS_OF_NETS = nets.make_images(4) / 255
UNIT = image_spec.ImageSpec("float32", 0.0, 1.0)


@pytest.mark.parametrize(
    "images, spec",
    [
        (255 * FRACTIONS, image_spec.UINT8),
        (FRACTIONS.astype("uint8"), image_spec.UINT8),
        (FRACTIONS, UNIT),
        (1.1 * FRACTIONS, UNIT),
        (FRACTIONS, None),
        # Black, nearly black, and the empty part of a replica.
        (0 * FRACTIONS, image_spec.UINT8),
        (np.round(FRACTIONS), image_spec.UINT8),
        (3 * FRACTIONS, image_spec.UINT8),
        (FRACTIONS[:0], image_spec.UINT8),
        (0.01 * FRACTIONS, UNIT),
    ],
)
@pytest.mark.parametrize("wrap", [lambda function: function, tf.function])
def test_images_of_the_teacher_s_range_pass(images, spec, wrap):
    checked = wrap(lambda x: image_checks.checked(x, spec, teacher="t"))
    np.testing.assert_array_equal(checked(tf.constant(images)), images)


@pytest.mark.parametrize(
    "images, spec, received",
    [
        (FRACTIONS, image_spec.UINT8, "for a teacher of 0 to 255"),
        (2 * FRACTIONS - 1, image_spec.UINT8, "for a teacher of 0 to 255"),
        (65_535 * FRACTIONS, image_spec.UINT8, "for a teacher of 0 to 255"),
        (255 * FRACTIONS, UNIT, "for a teacher of 0 to 1"),
        (np.uint8(255 * FRACTIONS), UNIT, "float32 from 0 to 1.*: uint8"),
    ],
)
def test_images_of_another_range_are_refused(images, spec, received):
    with pytest.raises(ValueError, match=received):
        image_checks.checked(tf.constant(images), spec, teacher="t")


@pytest.fixture(scope="module")
def teacher_of_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("teacher") / "bytes"
    saved_model.export_saved_model(nets.make_network(), path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_fit_says_that_the_images_do_not_fit(teacher_of_bytes, run_eagerly):
    distiller = compiled(nets.make_network(), str(teacher_of_bytes))
    distiller.run_eagerly = run_eagerly
    with pytest.raises(ValueError, match="values from .* of 0 to 255; scale"):
        distiller.fit(nets.make_images() / 255, epochs=1, verbose=0)
    distiller.fit(nets.make_images(), epochs=1, verbose=0)


def test_a_network_that_rescales_bytes_refuses_fractions(tmp_path):
    network = nets.make_network()
    network.save(tmp_path / "network.keras")
    for teacher in (network, tmp_path / "network.keras"):
        function, _ = teacher_lib.logits_function(teacher)
        assert function(255 * FRACTIONS_OF_NETS).shape == (4, nets.NUM_CLASSES)
        with pytest.raises(ValueError, match="values from .* of 0 to 255"):
            function(FRACTIONS_OF_NETS)


def test_a_teacher_of_bytes_does_not_round_floats(teacher_of_bytes):
    network = nets.make_network()
    images = nets.make_images(4) + 0.4
    saved_model.export_saved_model(network, teacher_of_bytes)
    logits = loading.load_teacher(teacher_of_bytes)(images)
    expected = network(images, training=False)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    rounded = network(np.round(images), training=False)
    assert np.abs(logits - rounded).max() > 1e-3


def test_a_damaged_record_beside_a_model_is_no_range(teacher_of_bytes):
    keras.utils.set_random_seed(0)
    for text in ("", "[]", '{"images": {"dtype": "uint8", "low": "x"}}'):
        (teacher_of_bytes / "report.json").write_text(text)
        loaded = loading.load_classifier(teacher_of_bytes)
        assert loaded.image_spec == image_spec.UINT8


@pytest.mark.parametrize("shape", [(4, 5, 5), (4, 5, 6, 1), (4, 25)])
def test_images_of_another_shape_are_refused(shape):
    teacher = teacher_lib.Teacher(
        lambda images: images[:, 0, 0],
        path="t",
        image_shape=(None, 5, 1),
        num_classes=1,
    )
    assert teacher(np.zeros((4, 9, 5, 1))).shape == (4, 1)
    with pytest.raises(ValueError, match=r"shape \(None, None, 5, 1\). Rec"):
        teacher(np.zeros(shape))

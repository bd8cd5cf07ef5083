"""Resizing and preprocessing around a model of another program."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.models import image_spec
from kd_keras.teachers import ensemble, loading, wrapping
from kd_keras.teachers.options import TeacherOptions

SIZE, CLASSES = 8, 4


def make_model(*before, channels=3, size=SIZE):
    return keras.Sequential(
        [
            keras.Input((size, size, channels)),
            *before,
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return make_model()


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def images():
    shape = (5, SIZE, SIZE, 3)
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def cropped(images):
    return images[:, 2:-2, 2:-2] / 255


def halved(images):
    return images[:, ::2]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_teacher_predicts_preprocessed_images(model, path, images, dtype):
    teacher = kd_keras.load_teacher(path, preprocess="tf")
    expected = model(images / 127.5 - 1)
    found = teacher(images.astype(dtype))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # Also in a graph, as a Distiller calls it.
    found = tf.function(teacher)(images.astype(dtype))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert teacher.image_spec == image_spec.UINT8
    assert teacher.image_shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize("method", ["bicubic", "plain_bilinear"])
def test_images_are_resized_and_then_preprocessed(model, path, method):
    large = np.random.default_rng(1).integers(0, 256, (3, 20, 14, 3))
    options = {"image_size": SIZE, "resize": method, "preprocess": "caffe"}
    teacher = kd_keras.load_teacher(path, **options)
    assert teacher.image_shape == (None, None, 3)
    resized = tf.image.resize(
        large,
        (SIZE, SIZE),
        method=method.removeprefix("plain_"),
        antialias=method == "bicubic",
    )
    expected = model(resized[..., ::-1] - [103.939, 116.779, 123.68])
    np.testing.assert_allclose(teacher(large), expected, rtol=1e-4, atol=1e-2)


def test_an_own_function_may_crop(model, path, images):
    name = f"{__name__}:cropped"
    teacher = kd_keras.load_teacher(path, image_size=12, preprocess=name)
    large = tf.image.resize(images, (12, 12), antialias=True)
    expected = model(large[:, 2:-2, 2:-2] / 255)
    np.testing.assert_allclose(teacher(images), expected, atol=1e-5)
    teacher = kd_keras.load_teacher(path, preprocess=f"{__name__}:halved")
    with pytest.raises(ValueError, match=r"must have the shape.*\(5, 4, 8, 3"):
        teacher(images)


def test_the_channel_of_grey_images_is_repeated(model, path, images):
    grey = images[..., :1]
    expected = model(np.repeat(grey, 3, axis=-1) / 255)
    for options in ({}, {"image_size": SIZE}):
        teacher = kd_keras.load_teacher(path, preprocess="0-1", **options)
        np.testing.assert_allclose(teacher(grey), expected, atol=1e-5)
        with pytest.raises(ValueError, match="must have the shape"):
            teacher(np.repeat(grey, 4, axis=-1))


@pytest.mark.parametrize("first", ["rescaling", "preprocess_input", "record"])
def test_a_model_that_scales_images_itself_needs_no_preprocessing(
    tmp_path, first, images
):
    path = tmp_path / "model.keras"
    if first == "rescaling":
        made = make_model(keras.layers.Rescaling(1 / 255))
    elif first == "preprocess_input":
        inputs = keras.Input((SIZE, SIZE, 3))
        scaled = keras.applications.resnet.preprocess_input(inputs)
        made = keras.Model(inputs, make_model()(scaled))
    else:
        path = tmp_path / "student.keras"
        made = make_model()
        (tmp_path / "report.json").write_text(
            '{"stage": "student", "images": '
            '{"dtype": "uint8", "low": 0, "high": 255}}'
        )
    made.save(path)
    np.testing.assert_allclose(
        kd_keras.load_teacher(path)(images),
        made(images.astype("float32")),
        rtol=1e-5,
        atol=1e-4,
    )
    for name in ("0-1", "tf", "torch", "caffe"):
        with pytest.raises(ValueError, match=f"itself.*Received: {name}, wh"):
            kd_keras.load_teacher(path, preprocess=name)
    # The effect of a user's own function is not known.
    kd_keras.load_teacher(path, preprocess=f"{__name__}:cropped", image_size=12)


def test_what_a_model_cannot_have_is_refused(tmp_path, path, model):
    grey = tmp_path / "grey.keras"
    make_model(channels=1).save(grey)
    with pytest.raises(ValueError, match="models of three channels.*takes 1"):
        kd_keras.load_teacher(grey, preprocess="torch")
    kd_keras.load_teacher(grey, preprocess="tf")
    with pytest.raises(ValueError, match="teacher.resize must be one of bili"):
        kd_keras.load_teacher(path, image_size=SIZE, resize="lanczos")
    with pytest.raises(ValueError, match="must be the size that the model ta"):
        kd_keras.load_teacher(path, image_size=9, preprocess="tf")


def test_a_kind_with_its_own_preprocessing_takes_no_other(path, images):
    kind, _ = loading.find_teacher(path)
    raw = kind.load_teacher(path, TeacherOptions())
    own = dataclasses.replace(kind, preprocesses=True)
    with pytest.raises(ValueError, match="comes with its own preprocessing"):
        wrapping.wrap(raw, TeacherOptions(preprocess="tf"), own)
    # Its size belongs to its preprocessing.
    teacher = wrapping.wrap(raw, TeacherOptions(), own)
    large = tf.image.resize(images, (20, 20))
    resized = tf.image.resize(large, (SIZE, SIZE), antialias=True)
    np.testing.assert_allclose(
        teacher(large), raw(resized), rtol=1e-4, atol=1e-2
    )


def test_another_preprocessing_can_be_tried(model, path, images):
    files = ensemble.TeacherFiles([path, path])
    for teacher in (loading.load_teacher(path), files.teacher):
        other = teacher.preprocessed_by("tf").preprocessed_by("0-1")
        expected = tf.nn.softmax(model(images / 255))
        np.testing.assert_allclose(
            tf.nn.softmax(other(images)), expected, atol=1e-5
        )


def test_what_is_set_is_recorded():
    record = wrapping.record(TeacherOptions(preprocess="tf", resize="bicubic"))
    assert record == {
        "outputs": "logits",
        "preprocess": "tf",
        "resize": "bicubic",
    }
    assert wrapping.record(TeacherOptions()) == {"outputs": "logits"}
    own = wrapping.record(TeacherOptions(preprocess=f"{__name__}:cropped"))
    assert len(own["preprocess_code"]) == 64

"""Preprocessing by name, as in keras.applications, and by own functions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import config
from kd_keras.models import resizing
from kd_keras.teachers import preprocessing

# Red, green and blue.
PIXEL = np.array([[[[51, 102, 255]]]], "uint8")


def plus_one(images):
    return images + 1


def failing(images):
    raise RuntimeError("no images")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", [51, 102, 255]),
        ("0-1", [0.2, 0.4, 1]),
        ("tf", [-0.6, -0.2, 1]),
        # (share - mean) / deviation of each colour.
        ("torch", [-0.285 / 0.229, -0.056 / 0.224, 0.594 / 0.225]),
        # Blue first.
        ("caffe", [255 - 103.939, 102 - 116.779, 51 - 123.68]),
        (f"{__name__}:plus_one", [52, 103, 256]),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32"])
def test_values_worked_by_hand(name, expected, dtype):
    made = preprocessing.find(name)(PIXEL.astype(dtype))
    assert made.dtype == tf.float32
    np.testing.assert_allclose(made[0, 0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("tf", keras.applications.mobilenet_v2),
        ("torch", keras.applications.densenet),
        ("caffe", keras.applications.resnet),
    ],
)
def test_names_mean_what_keras_applications_means(name, module):
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3))
    images = images.astype("float32")
    np.testing.assert_array_equal(
        preprocessing.find(name)(images), module.preprocess_input(images.copy())
    )


def test_the_range_of_what_is_made_is_known():
    ranges = {
        name: (made.image_spec.low, made.image_spec.high)
        for name, made in preprocessing.PREPROCESSINGS.items()
    }
    assert ranges["none"] == (0, 255)
    assert ranges["0-1"] == (0, 1) and ranges["tf"] == (-1, 1)
    assert ranges["torch"] == pytest.approx((-2.118, 2.64), abs=1e-3)
    assert ranges["caffe"] == pytest.approx((-123.68, 151.061))
    assert preprocessing.find(f"{__name__}:plus_one").image_spec is None


def test_the_configuration_lists_what_there_is():
    assert tuple(preprocessing.PREPROCESSINGS) == config.PREPROCESSINGS
    assert tuple(resizing.METHODS) == config.RESIZES


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tff", "must be one of none, 0-1, tf, .*Did you mean 'tf'"),
        ("no_module:f", "importable module:function.*No module named"),
        (f"{__name__}:PIXEL", "must name a function"),
    ],
)
def test_unknown_names_are_refused(name, words):
    with pytest.raises(ValueError, match=rf"teacher.preprocess.*{words}"):
        preprocessing.find(name)


def test_an_error_in_an_own_function_is_one_line():
    with pytest.raises(ValueError, match="raised RuntimeError: no images$"):
        preprocessing.find(f"{__name__}:failing")(PIXEL)


def test_the_code_of_an_own_function_is_recorded(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for text in ("def f(x): return x", "def f(x): return 2 * x"):
        (tmp_path / "own_preprocessing.py").write_text(text)
        found.append(preprocessing.record("own_preprocessing:f"))
    assert found[0] != found[1] and len(found[0]["preprocess_code"]) == 64
    assert preprocessing.record("tf") == {}

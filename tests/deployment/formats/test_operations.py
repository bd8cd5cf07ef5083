"""Operations that a format does not have are named."""

import errno
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.data import datasets
from kd_keras.deployment import exporting
from kd_keras.deployment.formats import operations
from kd_keras.teachers import kind

_IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), "uint8")
_LABELS = np.arange(20) % 4


@pytest.fixture(scope="module")
def dataset():
    examples = datasets.Examples(_IMAGES, _LABELS, num_classes=4)
    return datasets.Dataset("noise", examples, examples, "made")


@keras.saving.register_keras_serializable("test_operations")
class Betainc(keras.layers.Layer):
    def call(self, inputs):
        return tf.math.betainc(inputs + 1, inputs + 1, tf.sigmoid(inputs))


def _export(layer, format, dataset, folder):
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            layer,
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )
    network.save(folder / "net.keras")
    *_, row = exporting.export(
        folder / "net.keras",
        formats=[format],
        output=folder / "out",
        data=dataset,
        calibration_examples=5,
    )
    return row


@pytest.mark.parametrize(
    ("layer", "format", "words"),
    [
        pytest.param(
            keras.layers.Activation("gelu"),
            "c_array",
            "C array, int8 must have every operation .* with GELU; use ",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            keras.layers.Activation("softplus"),
            "c_array",
            "C array, int8 must have every operation .* with exp; use ",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            keras.layers.Conv2D(2, 3, dilation_rate=2),
            "c_array",
            r"with SPACE_TO_BATCH_ND \(as of a dilated convolution\); use ",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            keras.layers.Dense(2),
            "c_array",
            r"with REDUCE_PROD \(as of a Dense layer on more than two axes\);",
            marks=pytest.mark.slow,
        ),
        (Betainc(), "litert", "float32 must have .* with Betainc; use "),
        (Betainc(), "onnx", "ONNX must have .* with Betainc; use "),
    ],
)
def test_a_missing_operation_is_named(layer, format, words, dataset, tmp_path):
    with pytest.raises(ValueError, match=words):
        _export(layer, format, dataset, tmp_path)
    assert not [*(tmp_path / "out").glob("*")]


@pytest.mark.slow
def test_onnx_computes_gelu_by_erf(dataset, tmp_path):
    layer = keras.layers.Activation("gelu")
    assert _export(layer, "onnx", dataset, tmp_path)["agreement"] == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("shape.cc:9 1 != 2\nmore"), r"converter \(shape.cc:9 1"),
        (RuntimeError(""), r"converter \(RuntimeError"),
        (ValueError("in our own words"), "^in our own words$"),
    ],
)
def test_other_failures_keep_their_reason(error, words):
    with pytest.raises(ValueError, match=words), operations.explained("ONNX"):
        raise error


@pytest.mark.parametrize(
    "message", ["No space left on device", "File too large"]
)
def test_a_full_disc_is_not_the_model_s_fault(message):
    with (
        pytest.raises(OSError, match=message) as raised,
        operations.explained("LiteRT"),
    ):
        raise tf.errors.ResourceExhaustedError(
            None, None, f"/tmp/a/variables; {message}"
        )
    assert raised.value.filename == tempfile.gettempdir()


def test_the_disc_is_known_by_the_cause_of_an_error():
    with pytest.raises(OSError, match="space"), operations.explained("ONNX"):
        raise RuntimeError("not saved") from OSError(errno.ENOSPC, "space")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM")],
    ids=["python", "tensorflow"],
)
def test_too_little_memory_is_not_the_model_s_fault(error):
    match = "the memory must hold a conversion to ONNX"
    with pytest.raises(ValueError, match=match), operations.explained("ONNX"):
        raise error


def test_a_new_file_that_does_not_load_is_no_damaged_file():
    with (
        pytest.raises(ValueError, match="convertible to ONNX.*the reason"),
        operations.explained("ONNX"),
        kind.errors_of_loading("new.onnx"),
    ):
        raise RuntimeError("the reason")

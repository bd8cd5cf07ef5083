"""Teachers that are functions of tensors or of arrays."""

import logging

import distilling
import nets
import numpy as np
import pytest
import tensorflow as tf

WEIGHTS = np.random.default_rng(0).normal(size=(64, nets.NUM_CLASSES)) / 1e3


def in_numpy(images):
    return np.asarray(images).reshape(len(images), -1) @ WEIGHTS


def in_tensorflow(images):
    flat = tf.reshape(images, (-1, 64))
    return flat @ tf.constant(WEIGHTS, tf.float32)


def distilled(teacher, **options):
    """The weights of a student of a teacher, after batches of 16 and 4."""
    student = distilled.start
    student = nets.copy_of(student)
    distilling.distil(student, teacher, nets.make_images(20), **options)
    return student


@pytest.fixture(autouse=True)
def start():
    distilled.start = nets.make_network()


@pytest.mark.slow
@pytest.mark.parametrize(
    "teacher",
    [
        in_numpy,
        lambda images: images.numpy().reshape(len(images), -1) @ WEIGHTS,
        lambda images: [in_numpy(images).astype("float32")],
        lambda images: tf.numpy_function(
            lambda x: in_numpy(x).astype("float32"), [images], tf.float32
        ),
    ],
    ids=["numpy", "numpy()", "list of one", "unknown shape"],
)
def test_a_function_of_arrays_teaches_as_one_of_tensors(teacher):
    nets.assert_same_weights(
        distilled(teacher), distilled(in_tensorflow), atol=1e-6
    )


@pytest.mark.slow
def test_a_function_of_arrays_is_said_to_be_slower(caplog):
    with caplog.at_level(logging.WARNING):
        distilled(in_numpy, epochs=2)
    (record,) = [x for x in caplog.records if "slower" in x.message]
    assert "NotImplementedError" in record.message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (lambda x: None, "tensor .* Received: None"),
        (lambda x: in_tensorflow(x)[:3], "3 logits for 16 images"),
        (lambda x: in_tensorflow(x)[:, 0], "float32 of shape .* batch of any"),
        (lambda x: in_numpy(x)[:3], r"shape \(3, 5\) for a batch of 16"),
        (lambda x: in_numpy(x)[:, :4], r"shape \[\?,5\]. Received: \[16,4\]"),
        (lambda x: in_numpy(x).astype(str), "numbers of shape"),
        (lambda x: in_numpy(x[:, :1]), "raised ValueError: matmul"),
        (lambda: 0, "raised TypeError"),
    ],
)
def test_what_is_no_logits_is_refused_in_one_line(teacher, message):
    with pytest.raises(ValueError, match=message) as caught:
        distilled(teacher)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("teacher", [object(), tf.Module, [in_numpy], 3])
def test_what_is_no_function_is_refused(teacher):
    with pytest.raises(ValueError, match="teacher must be a Keras model"):
        distilled(teacher)

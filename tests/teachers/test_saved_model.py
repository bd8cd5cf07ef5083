"""Teachers from SavedModels, of this project and of others."""

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.deployment import saved_model as exports
from kd_keras.teachers import loading


@pytest.fixture
def network():
    return nets.make_network()


@pytest.fixture
def images():
    return nets.make_images(8)


def write_foreign(path, outputs, *, signature="serving_default", inputs=1):
    """Writes a SavedModel as another program might export it.

    Args:
        outputs: dict of functions of the logits, by the output's name.
    """
    module = tf.Module()
    module.scale = tf.Variable(2.0)
    specs = [
        tf.TensorSpec((None, *nets.IMAGE_SHAPE), tf.float32, f"input_{i}")
        for i in range(inputs)
    ]

    def serve(*images):
        sums = module.scale * tf.reduce_sum(images[0], axis=(1, 2, 3))
        logits = tf.stack([sums, sums / 2], axis=-1)
        return {name: f(logits) for name, f in outputs.items()}

    function = tf.function(serve, input_signature=specs)
    tf.saved_model.save(
        module, str(path), {signature: function.get_concrete_function()}
    )
    return path


def test_our_export_takes_uint8_and_float_images(network, images, tmp_path):
    exports.export_saved_model(network, tmp_path / "teacher")
    teacher = kd_keras.load_teacher(tmp_path / "teacher")
    expected = network.predict(images, verbose=0)
    for dtype in (tf.uint8, tf.float32, tf.bfloat16):
        logits = teacher(tf.cast(images, dtype))
        np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert teacher.num_classes == nets.NUM_CLASSES
    assert teacher.image_shape == nets.IMAGE_SHAPE


def test_arrays_are_taken_like_tensors(network, images, tmp_path):
    exports.export_saved_model(network, tmp_path / "model")
    network.save(tmp_path / "model.keras")
    for path in (tmp_path / "model", tmp_path / "model.keras"):
        teacher = loading.load_teacher(path)
        for array in (images, images.astype("uint8")):
            np.testing.assert_array_equal(
                teacher(array), teacher(tf.constant(array))
            )


def test_the_export_of_keras_has_the_network_s_logits(
    network, images, tmp_path
):
    network.export(tmp_path / "exported", verbose=False)
    teacher = kd_keras.load_teacher(tmp_path / "exported")
    np.testing.assert_allclose(
        teacher(images), network.predict(images, verbose=0), atol=1e-5
    )


def test_probabilities_become_logits(network, images, tmp_path):
    softmax = keras.Sequential([network, keras.layers.Softmax()])
    softmax.build((None, *nets.IMAGE_SHAPE))
    softmax.export(tmp_path / "softmax", verbose=False)
    teacher = kd_keras.load_teacher(
        tmp_path / "softmax", outputs="probabilities"
    )
    np.testing.assert_allclose(
        tf.nn.softmax(teacher(images)),
        softmax.predict(images, verbose=0),
        atol=1e-5,
    )


def test_a_probability_of_zero_is_a_finite_logit(images, tmp_path):
    path = write_foreign(
        tmp_path / "sure", {"p": lambda z: tf.one_hot([0] * 8, 2)}
    )
    teacher = kd_keras.load_teacher(path, outputs="probabilities")
    # The logarithm of the smallest normal float32.
    np.testing.assert_allclose(teacher(images)[0], [0, -87.3], atol=0.1)


def test_an_output_is_found_by_its_name(tmp_path):
    path = write_foreign(
        tmp_path / "two", {"scores": lambda z: z, "other": lambda z: -z}
    )
    images = nets.make_images(3)
    teacher = kd_keras.load_teacher(path, outputs="scores")
    sums = images.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(
        teacher(images), np.stack([2 * sums, sums], -1), rtol=1e-5
    )
    with pytest.raises(ValueError, match="'logits'; .* has other, scores"):
        kd_keras.load_teacher(path)


def test_a_single_signature_may_have_any_name(tmp_path):
    path = write_foreign(
        tmp_path / "odd", {"out": lambda z: z}, signature="predict"
    )
    assert kd_keras.load_teacher(path).num_classes == 2


def test_a_model_with_two_inputs_is_refused(tmp_path):
    path = write_foreign(tmp_path / "m", {"out": lambda z: z}, inputs=2)
    with pytest.raises(ValueError, match="must take one input"):
        kd_keras.load_teacher(path)


def test_weights_in_an_unknown_order_are_refused(tmp_path):
    foreign = write_foreign(tmp_path / "foreign", {"logits": tf.identity})
    with pytest.raises(ValueError, match="exported by this project"):
        loading.network_weights(foreign)

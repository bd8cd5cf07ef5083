"""The source of an export: which models can be converted."""

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.deployment import source


def test_a_saved_model_of_integer_images_is_refused(tmp_path):
    spec = tf.TensorSpec((None, *nets.IMAGE_SHAPE), tf.uint8, "images")
    serve = tf.function(
        lambda images: {"logits": tf.cast(images, tf.float32)},
        input_signature=[spec],
    )
    tf.saved_model.save(
        tf.Module(), str(tmp_path / "m"), {"serving_default": serve}
    )
    with pytest.raises(ValueError, match="must have a signature that takes"):
        source.Source(tmp_path / "m")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models/net_0.25", "net_0.25"),
        ("models/net_0.5/", "net_0.5"),
        ("models/net.v2.keras", "net.v2"),
        ("models/.", "models"),
        ("models/net..", "net.."),
    ],
)
def test_a_dot_in_a_name_is_kept(path, name):
    assert source.name_of(path) == name


@pytest.mark.slow
def test_a_model_of_mixed_precision_is_converted_in_float32(tmp_path):
    path = tmp_path / "mixed.keras"
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    mixed = nets.make_network()
    keras.mixed_precision.set_dtype_policy("float32")
    mixed.save(path)
    plain = nets.make_network()
    plain.set_weights(mixed.get_weights())
    converted = source.Source(path)
    images = nets.make_images(4)
    with converted.saved("float32") as directory:
        serve = tf.saved_model.load(directory).signatures["serving_default"]
        logits = serve(images=tf.constant(images))["logits"]
    np.testing.assert_allclose(logits, plain(images), atol=1e-5)
    # Files are compared with the float32 model, too.
    assert converted.reference != path
    plain.save(path)
    assert source.Source(path).reference == path

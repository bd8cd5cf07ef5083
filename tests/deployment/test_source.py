"""The source of an export: which models can be converted."""

import nets
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

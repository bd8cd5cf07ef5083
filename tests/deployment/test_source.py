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

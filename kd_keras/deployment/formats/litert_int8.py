"""LiteRT (TensorFlow Lite) that computes in integers only."""

import numpy as np

from kd_keras.deployment.formats.format import Format


def write(source, calibration):
    return calibration.int8_model


def convert(source, images=None):
    """Converts a model to int8, given the images that set its ranges.

    Weights are int8 with a scale for each channel, activations and output
    int8. The input is uint8 with a step of 1 for images of uint8, and int8 in
    255 steps of their range for others.

    Args:
        source: `Source`.
        images: array `(n, *image_shape)`. Their activations set the
            ranges of the activations. None for a model that rounds, whose
            ranges are part of it.

    Returns:
        Bytes of a LiteRT file.
    """
    import tensorflow as tf

    spec = source.image_spec
    with source.saved(tf.float32) as path:
        converter = tf.lite.TFLiteConverter.from_saved_model(path)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if images is not None:
            _calibrate(converter, images, spec)
        converter.inference_input_type = (
            tf.uint8 if spec.dtype == "uint8" else tf.int8
        )
        converter.inference_output_type = tf.int8
        return converter.convert()


def _calibrate(converter, images, spec):
    import tensorflow as tf

    # Images of the extreme values give the input its range, and so a step of
    # 1 from 0 to 255, whatever the other images are.
    images = images.astype("float32")
    extremes = [np.full_like(images[:1], x) for x in (spec.low, spec.high)]
    images = np.concatenate([*extremes, images])
    converter.representative_dataset = lambda: (
        {"images": image[None]} for image in images
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]


FORMAT = Format(
    name="litert_int8",
    title="LiteRT, int8",
    description="LiteRT in integers only, calibrated on training images",
    suffix="_int8.tflite",
    packages=("ai-edge-litert",),
    write=write,
)

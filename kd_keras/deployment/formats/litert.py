"""LiteRT (TensorFlow Lite) with float32 weights."""

from kd_keras.deployment.formats.format import Format


def write(source, calibration):
    import tensorflow as tf

    with source.saved(source.image_spec.dtype) as path:
        return tf.lite.TFLiteConverter.from_saved_model(path).convert()


FORMAT = Format(
    name="litert",
    title="LiteRT, float32",
    description="LiteRT (TensorFlow Lite), float32",
    suffix=".tflite",
    packages=("ai-edge-litert",),
    write=write,
    tolerance=1e-3,
)

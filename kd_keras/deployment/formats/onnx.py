"""ONNX with float32 weights."""

from kd_keras.deployment.formats.format import Format
from kd_keras.utils import keras_internals

_OPSET = 17


def write(source, calibration):
    import tensorflow as tf
    import tf2onnx

    with source.saved(tf.uint8) as path:
        # Its variables live only as long as the loaded object.
        loaded = tf.saved_model.load(path)
        frozen = keras_internals.with_constants(
            loaded.signatures["serving_default"]
        )
    (images,), (logits,) = frozen.inputs, frozen.outputs
    model, _ = tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(),
        input_names=[images.name],
        output_names=[logits.name],
        opset=_OPSET,
        tensors_to_rename={images.name: "images", logits.name: "logits"},
    )
    return model.SerializeToString()


FORMAT = Format(
    name="onnx",
    title="ONNX, float32",
    description="ONNX, float32",
    suffix=".onnx",
    packages=("onnxruntime", "tf2onnx"),
    write=write,
    tolerance=1e-3,
)

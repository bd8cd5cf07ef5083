"""ONNX with float32 weights."""

from kd_keras.deployment import onnx_graph
from kd_keras.deployment.formats import operations
from kd_keras.deployment.formats.format import Format
from kd_keras.utils import keras_internals

_OPSET = 17


def write(source, calibration):
    import tensorflow as tf
    import tf2onnx

    with source.saved(source.image_spec.dtype, any_size=True) as path:
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
    onnx_graph.replace_erfc(model.graph)
    missing = onnx_graph.missing_operations(model.graph)
    if missing:
        raise operations.missing("ONNX", missing)
    # The converter's names depend on counters and on the order of sets.
    onnx_graph.make_canonical(model.graph)
    return model.SerializeToString(deterministic=True)


FORMAT = Format(
    name="onnx",
    title="ONNX, float32",
    description="ONNX, float32",
    suffix=".onnx",
    packages=("onnxruntime", "tf2onnx"),
    write=write,
    tolerance=1e-3,
)

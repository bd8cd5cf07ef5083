"""ONNX files, run by ONNX Runtime."""

from kd_keras.models import image_spec
from kd_keras.teachers import kind
from kd_keras.teachers.classifier import Classifier
from kd_keras.utils import packages


def can_load(path):
    return path.suffix == ".onnx" and path.is_file()


def load(path, threads=None):
    onnxruntime = packages.optional("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    # Fatal messages only: errors are raised, and the warnings are about
    # features that the machine lacks.
    options.log_severity_level = 4
    with kind.errors_of_loading(path):
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    source = kind.only(session.get_inputs(), "input", path)
    target = kind.only(session.get_outputs(), "output", path)
    dtype = "uint8" if source.type == "tensor(uint8)" else "float32"

    def run(images):
        feeds = {source.name: image_spec.to_dtype(images, dtype)}
        return session.run([target.name], feeds)[0].astype("float32")

    # Dimensions of any size are strings.
    sizes = [size if isinstance(size, int) else None for size in source.shape]
    return Classifier(
        run,
        path=path,
        kind=KIND.name,
        image_shape=sizes[1:],
        num_classes=target.shape[-1],
        image_spec=image_spec.UINT8 if dtype == "uint8" else None,
    )


KIND = kind.Kind(
    name="onnx",
    title="ONNX",
    expected=".onnx file",
    can_load=can_load,
    load=load,
)

"""A classifier's file, of any format, run in that format's own runtime."""

import contextlib
import os
import pathlib
import re

import numpy as np

from kd_keras.utils import packages, quiet

FORMATS = {
    ".keras": "keras",
    ".tflite": "litert",
    ".onnx": "onnx",
    ".h": "c_array",
    "": "saved_model",
}
MICRO = "tflite_micro.python.tflite_micro.runtime"


class Classifier:
    """A loaded classifier, called as `classifier(images)` -> logits.

    Attributes:
        path: str, where it was loaded from.
        format: str, one of the values of `FORMATS`.
        image_shape: `(height, width, channels)`, None where it takes any.
        num_classes: int.
        arena_bytes: int, of a `.h` file: the memory of its tensors.
    """

    arena_bytes = None

    def __init__(self, run, *, path, format, image_shape, num_classes):
        self._run = run
        self.path = str(path)
        self.format = format
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        if len(self.image_shape) != 3 or not num_classes or num_classes < 2:
            raise ValueError(
                "a classifier must take images (batch, height, width, "
                "channels) and return logits (batch, 2 classes or more). "
                f"Received: {path} with image shape {self.image_shape}, "
                f"{num_classes} classes"
            )

    def __call__(self, images):
        """Logits of a batch.

        Args:
            images: uint8 array `(batch, height, width, channels)`, 0 to 255.

        Returns:
            float32 array `(batch, num_classes)`.
        """
        return self._run(np.ascontiguousarray(images))


def load(path, *, threads=None):
    """Loads a classifier in the runtime of its format.

    Args:
        path: str or path of a SavedModel directory, `.keras`, `.tflite` or
            `.onnx` file, or of a `.h` that `kd_keras.export` has written.
        threads: int, threads of the runtime; None for its own default, or
            all cores in LiteRT, whose default is one. TensorFlow takes a
            number only before it has started.

    Returns:
        `Classifier`.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        ValueError: if the format is unknown, its package is not installed,
            the file is damaged or is no classifier.
    """
    path = pathlib.Path(path)
    format = FORMATS.get("" if path.is_dir() else path.suffix)
    if not path.exists():
        raise FileNotFoundError(
            f"a model must be there. Received: {path}, which does not exist"
        )
    if format is None or (format == "saved_model" and not path.is_dir()):
        raise ValueError(
            "a model must be a SavedModel directory, .keras, .tflite, .onnx or "
            f".h file. Received: {path}"
        )
    loader = {
        "litert": _load_litert,
        "onnx": _load_onnx,
        "c_array": _load_micro,
    }.get(format, _load_tensorflow)
    return loader(path, format, threads)


def size(path):
    """Bytes of a model: of its file, its SavedModel's files, or its array."""
    path = pathlib.Path(path)
    if path.suffix == ".h":
        return len(_array(path.read_text()))
    if path.is_file():
        return path.stat().st_size
    parts = [path / "saved_model.pb", *(path / "variables").iterdir()]
    return sum(part.stat().st_size for part in parts)


def _load_tensorflow(path, format, threads):
    import tensorflow as tf

    from kd_keras.teachers import loading as teachers

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    model = teachers.load_teacher(path)
    run = tf.function(lambda images: model(images), reduce_retracing=True)
    return Classifier(
        lambda images: run(tf.constant(images)).numpy(),
        path=path,
        format=format,
        image_shape=model.image_shape,
        num_classes=model.num_classes,
    )


def _load_litert(path, format, threads):
    litert = packages.optional("ai_edge_litert.interpreter", "ai-edge-litert")
    with _whole(path), quiet.without_messages():
        interpreter = litert.Interpreter(
            str(path), num_threads=threads or os.cpu_count()
        )
        interpreter.allocate_tensors()
    source = _only(interpreter.get_input_details(), "input", path)
    target = _only(interpreter.get_output_details(), "output", path)

    def run(images):
        if images.shape != tuple(interpreter.get_tensor(source["index"]).shape):
            interpreter.resize_tensor_input(source["index"], images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], _quantized(images, source))
        interpreter.invoke()
        return _dequantized(interpreter.get_tensor(target["index"]), target)

    return Classifier(
        run,
        path=path,
        format=format,
        image_shape=source["shape"][1:].tolist(),
        num_classes=int(target["shape"][-1]),
    )


def _load_onnx(path, format, threads):
    onnxruntime = packages.optional("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    # Errors come as exceptions; its warnings are about other machines.
    options.log_severity_level = 4
    with _whole(path):
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    source = _only(session.get_inputs(), "input", path)
    target = _only(session.get_outputs(), "output", path)
    dtype = "uint8" if source.type == "tensor(uint8)" else "float32"

    def run(images):
        feeds = {source.name: images.astype(dtype)}
        return session.run([target.name], feeds)[0].astype("float32")

    return Classifier(
        run,
        path=path,
        format=format,
        image_shape=[n if isinstance(n, int) else None for n in source.shape][
            1:
        ],
        num_classes=target.shape[-1],
    )


def _load_micro(path, format, threads):
    """By the interpreter of microcontrollers, which has one thread."""
    micro = packages.optional(MICRO, "tflite-micro")
    with _whole(path), quiet.without_messages():
        text = path.read_text()
        arena_bytes = int(re.search(r"_ARENA_BYTES (\d+)", text)[1])
        interpreter = micro.Interpreter.from_bytes(
            _array(text), arena_size=arena_bytes
        )
    source = _micro_details(interpreter.get_input_details(0))
    target = _micro_details(interpreter.get_output_details(0))

    def run(images):
        rows = []
        for image in images:
            interpreter.set_input(_quantized(image[None], source), 0)
            interpreter.invoke()
            rows.append(_dequantized(interpreter.get_output(0), target))
        return np.concatenate(rows)

    classifier = Classifier(
        run,
        path=path,
        format=format,
        image_shape=source["shape"][1:],
        num_classes=target["shape"][-1],
    )
    classifier.arena_bytes = arena_bytes
    return classifier


def _array(text):
    """The bytes of the array in a C header."""
    body = text[text.index("= {") :]
    return bytes(int(byte, 16) for byte in re.findall(r"0x(..)", body))


def _micro_details(details):
    """The interpreter's, in the form of LiteRT's."""
    parameters = details["quantization_parameters"]
    return {
        "dtype": np.dtype(details["dtype"]).type,
        "shape": [int(size) for size in details["shape"]],
        "quantization": (parameters["scales"][0], parameters["zero_points"][0]),
    }


@contextlib.contextmanager
def _whole(path):
    """Makes one ValueError of whatever a runtime raises on damaged bytes."""
    try:
        yield
    except Exception as error:
        first_line = (str(error).strip().splitlines() or [repr(error)])[0]
        raise ValueError(
            f"a model must be a whole file. Received: {path}, which cannot be "
            f"loaded ({first_line})"
        ) from error


def _only(tensors, role, path):
    if len(tensors) != 1:
        raise ValueError(
            f"a classifier must have one {role}. Received: {path} with "
            f"{len(tensors)}"
        )
    return tensors[0]


def _quantized(images, details):
    dtype, (scale, zero_point) = details["dtype"], details["quantization"]
    if not scale:
        return images.astype(dtype)
    steps = np.round(images / scale) + zero_point
    limits = np.iinfo(dtype)
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def _dequantized(values, details):
    scale, zero_point = details["quantization"]
    if not scale:
        return values.astype("float32")
    return ((values.astype("float32") - zero_point) * scale).astype("float32")

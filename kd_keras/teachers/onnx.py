"""ONNX files, run by ONNX Runtime."""

import os
import pathlib

from kd_keras.teachers import array_model, image_input, kind, onnx_graph
from kd_keras.teachers.classifier import Classifier
from kd_keras.teachers.options import FEATURES, MEANINGS
from kd_keras.utils import packages, provenance

# Types of ONNX Runtime that a model of images may take and return.
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
# The option for the place of weights that are in files of their own.
_FOLDER = "session.model_external_initializers_file_folder_path"


def can_load(path):
    return path.suffix == ".onnx" and path.is_file()


def load(path, threads=None):
    session = _session(path, path, threads or 0)
    images = _images(session, path)
    logits = _logits(session, "logits", path)
    run = _runner(session, images, [logits.name])

    def classify(batch):
        (result,) = images.run(run, batch)
        return result.astype("float32")

    return Classifier(
        classify,
        path=path,
        kind=KIND.name,
        image_shape=images.image_shape,
        num_classes=(_sizes(logits)[1:2] or [None])[0],
        image_spec=images.image_spec,
    )


def load_teacher(path, options):
    path = pathlib.Path(path)
    session = _session(path, path, provenance.threads())
    images = _images(session, path)
    logits = None
    if options.has_logits:
        logits = _logits(session, options.outputs, path).name
    features = []
    if array_model.feature_names(options):
        model = _model(path)
        features = _features(model, session, images, logits, path, options)
        onnx_graph.add_outputs(model.graph, [x.name for x in features])
        session = _session(path, model, provenance.threads())
    shapes = {x.name: _sizes(x) for x in session.get_outputs()}
    names = [] if logits is None else [logits]
    names += [x.name for x in features]
    return array_model.teacher(
        _runner(session, images, names),
        images=images,
        path=str(path),
        options=options,
        logits=shapes.get(logits),
        features=[(x, shapes[x.name]) for x in features],
    )


def weight_arrays(path):
    with kind.errors_of_loading(path):
        yield from onnx_graph.weight_arrays(_model(path), str(path.parent))


def graph(path):
    with kind.errors_of_loading(path):
        return onnx_graph.digest(_model(path), str(path.parent))


def _session(path, model, threads):
    """Opens a file, or a model that was made of it.

    Args:
        path: path of the file.
        model: the same path, or an `onnx.ModelProto`.
        threads: int, 0 for the runtime's default.
    """
    onnxruntime = packages.optional("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Its threads would wait busily and take cores from TensorFlow's.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Fatal messages only: errors are raised, and the warnings are about
    # features that the machine lacks.
    options.log_severity_level = 4
    found = onnxruntime.get_available_providers()
    with kind.errors_of_loading(path):
        if model is not path:
            options.add_session_config_entry(
                _FOLDER, os.path.abspath(path.parent)
            )
            model = model.SerializeToString()
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(path),
            options,
            providers=[x for x in _PROVIDERS if x in found],
        )


def _images(session, path):
    """The `ImageInput` of the only input."""
    source = kind.only(session.get_inputs(), "input", path)
    return image_input.of_shape(
        _sizes(source), _DTYPES.get(source.type, source.type), path
    )


def _logits(session, outputs, path):
    """The output with the logits; `outputs` as in `TeacherOptions`."""
    found = {x.name: x for x in session.get_outputs()}
    if outputs in MEANINGS and len(found) == 1:
        outputs = next(iter(found))
    if outputs not in found:
        raise kind.Unusable(
            "outputs must name the output that holds the logits. Received: "
            f"{outputs!r}; {path} has {', '.join(found)}"
        )
    logits, sizes = found[outputs], _sizes(found[outputs])
    if logits.type not in _DTYPES or "int" in logits.type:
        raise kind.Unusable(
            "logits must be floats. Received: "
            f"{path}, whose output {outputs} is a {logits.type}"
        )
    if sizes and sum(x != 1 for x in sizes[1:]) > 1 or len(sizes) == 1:
        raise kind.Unusable(
            "logits must have the shape (batch, num_classes). Received: "
            f"{path}, whose output {outputs} has {sizes}"
        )
    return logits


def _features(model, session, images, logits, path, options):
    """The list of `Feature` that the options name."""
    inner = onnx_graph.Graph(model.graph, path)
    names = array_model.feature_names(options)
    features = []
    for name in names:
        if logits is None and not name:
            tensor = _only_output(session, path)
        else:
            tensor = inner.tensor(name, logits)
        first = inner.has_channels_first(tensor, images.channels_first)
        features.append(array_model.Feature(tensor, first, not name))
    return features


def _only_output(session, path):
    """The name of the only output, or the one that is named `features`."""
    first, *others = [x.name for x in session.get_outputs()]
    if FEATURES in others:
        return FEATURES
    if others and first != FEATURES:
        raise kind.Unusable(
            "features (distill.features.teacher) must name the embedding among "
            "several outputs. "
            f"Received: {path} with {', '.join([first, *others])}"
        )
    return first


def _model(path):
    onnx = packages.optional("onnx")
    with kind.errors_of_loading(path):
        return onnx.load(str(path), load_external_data=False)


def _runner(session, images, names):
    """A function of an array of images -> list of arrays."""
    source = session.get_inputs()[0].name
    return lambda batch: session.run(names, {source: batch})


def _sizes(value):
    """The shape of an input or output; sizes with a name are of any size."""
    sizes = value.shape or ()
    return tuple(x if isinstance(x, int) else None for x in sizes)


KIND = kind.TeacherKind(
    name="onnx",
    title="ONNX",
    expected=".onnx file",
    can_load=can_load,
    load=load,
    load_teacher=load_teacher,
    weight_arrays=weight_arrays,
    graph=graph,
)

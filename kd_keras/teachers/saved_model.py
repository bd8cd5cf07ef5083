"""SavedModel directories, run by TensorFlow."""

from kd_keras.models import image_spec as image_specs
from kd_keras.teachers import graph_digest, kind
from kd_keras.teachers import options as options_lib
from kd_keras.utils import suggestions

# The signature that is used unless another one is named.
_DEFAULT = "serving_default"


def can_load(path):
    return (path / "saved_model.pb").exists()


def load(path, threads=None):
    from kd_keras.teachers import teacher

    teacher.set_threads(threads)
    loaded = load_teacher(path, options_lib.TeacherOptions())
    return teacher.classifier_of(loaded, kind=KIND.name)


def load_teacher(path, options):
    import tensorflow as tf

    with kind.errors_of_loading(path):
        loaded = tf.saved_model.load(str(path))
        return teacher_of_loaded(loaded, path=str(path), options=options)


def teacher_of_loaded(loaded, *, path, options):
    """Makes a teacher of a SavedModel that TensorFlow has loaded.

    Args:
        loaded: result of `tf.saved_model.load`.
        path: str, its path or another name.
        options: `TeacherOptions`; `outputs`, `signature` and `features` are
            used.

    Returns:
        `Teacher`.

    Raises:
        ValueError: if it has no suitable signature, input or output.
    """
    from kd_keras.teachers import teacher
    from kd_keras.teachers.outputs import Outputs

    signature = _signature(loaded.signatures, options.signature, path)
    spec = _input(signature, path)
    shapes = {
        name: output.shape
        for name, output in signature.structured_outputs.items()
    }
    logits_name = _output_name(shapes, options, path)
    feature_names = _feature_names(shapes, options, path)
    call = _call(loaded, signature, spec, options)
    meaning = options.outputs

    def function(images):
        result = call(images)
        logits = None
        if logits_name is not None:
            logits = teacher.as_logits(result[logits_name], meaning)
        features = tuple(_as_float32(result[name]) for name in feature_names)
        return Outputs(logits, features)

    num_classes = None
    if logits_name is not None and shapes[logits_name].rank:
        num_classes = shapes[logits_name][-1]
    return teacher.Teacher(
        function,
        path=path,
        image_shape=tuple(spec.shape[1:]) if spec.shape.rank else (),
        num_classes=num_classes,
        has_logits=options.has_logits,
        feature_shapes=[
            tuple(shapes[name][1:]) if shapes[name].rank else (None,)
            for name in feature_names
        ],
        outputs_activation=teacher.activation_of(meaning, num_classes),
        image_spec=image_specs.UINT8 if spec.dtype.name == "uint8" else None,
    )


def _call(loaded, signature, spec, options):
    """A function of images of any type and number -> dict of outputs."""
    import tensorflow as tf

    from kd_keras.teachers import fixed_batch

    (name,) = signature.structured_input_signature[1]

    def of_signature(images):
        return signature(**{name: images})

    size = spec.shape[0] if spec.shape.rank else None
    if size is not None:
        of_signature = fixed_batch.of_any_size(
            of_signature, size, signature.structured_outputs
        )
    of_floats = loaded.signatures.get("float_images")
    if options.signature:
        of_floats = None

    def call(images):
        if of_floats is not None and images.dtype.is_floating:
            # Not rounded to the integers of the other signature.
            return of_floats(images=tf.cast(images, tf.float32))
        return of_signature(as_input(images, spec.dtype))

    # A SavedModel's variables live only as long as the loaded object.
    call.keep_alive = loaded
    return call


def as_input(images, dtype):
    """Converts images from 0 to 255 to the type that a signature takes."""
    import tensorflow as tf

    if dtype.is_integer and not images.dtype.is_integer:
        images = tf.saturate_cast(tf.round(images), dtype)
    return tf.cast(images, dtype)


def _as_float32(tensor):
    import tensorflow as tf

    return tf.cast(tensor, tf.float32)


def weight_arrays(path):
    with kind.errors_of_loading(path):
        reader = _variables(path)
        for name in reader.get_variable_to_shape_map():
            if not name.startswith("_CHECKPOINTABLE_OBJECT_GRAPH"):
                yield reader.get_tensor(name)


def graph(path, signature=""):
    from tensorflow.core.protobuf import saved_model_pb2

    with kind.errors_of_loading(path):
        contents = (path / "saved_model.pb").read_bytes()
        saved_model = saved_model_pb2.SavedModel.FromString(contents)
        meta_graph = saved_model.meta_graphs[0]
        # TensorFlow has a signature for initialisation among the others.
        signatures = {
            name: signature
            for name, signature in meta_graph.signature_def.items()
            if not name.startswith("__saved_model")
        }
        chosen = _signature(signatures, signature, path)
        return graph_digest.digest(meta_graph, chosen, _variables(path))


def network_weights(path):
    with kind.errors_of_loading(path):
        reader = _variables(path)
        names = [n for n in reader.get_variable_to_shape_map() if n[0] != "_"]
        # The names that `deployment.saved_model` gives, in the network's order.
        ordered = [
            f"weights/{i}/.ATTRIBUTES/VARIABLE_VALUE" for i in range(len(names))
        ]
        if set(names) != set(ordered):
            raise kind.Unusable(
                "a SavedModel must be exported by this project for its "
                "weights to be in a known order (a .keras file works, too). "
                f"Received: {path}"
            )
        return [reader.get_tensor(name) for name in ordered]


def size(path):
    parts = [path / "saved_model.pb", *(path / "variables").iterdir()]
    return sum(part.stat().st_size for part in parts)


def _variables(path):
    import tensorflow as tf

    return tf.train.load_checkpoint(str(path / "variables" / "variables"))


def _signature(signatures, name, path):
    """The signature with a name; without one, the default or the only one."""
    if not name and (_DEFAULT in signatures or len(signatures) != 1):
        name = _DEFAULT
    if not name:
        return next(iter(signatures.values()))
    if name not in signatures:
        names = sorted(signatures)
        raise kind.Unusable(
            "signature must be one of a SavedModel's signatures "
            f"(teacher.signature). Received: {path} without {name!r}, which "
            f"has {', '.join(names) or 'none'}."
            f"{suggestions.did_you_mean(name, names)}"
        )
    return signatures[name]


def _input(signature, path):
    """The `TensorSpec` of a signature's images."""
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise kind.Unusable(
            "a teacher must take one input, the images. Received: "
            f"{path} with {sorted(inputs)}"
        )
    (spec,) = inputs.values()
    if not (spec.dtype.is_floating or spec.dtype.is_integer):
        raise kind.Unusable(
            "a teacher must take images as numbers; use another signature, or "
            f"wrap it in a function (module:function). Received: {path}, "
            f"which takes {spec.dtype.name}"
        )
    return spec


def _output_name(shapes, options, path):
    """The name of the output with the logits, None for embeddings."""
    if not options.has_logits:
        return None
    names, outputs = sorted(shapes), options.outputs
    if outputs in names:
        return outputs
    if outputs in options_lib.MEANINGS and len(names) == 1:
        return names[0]
    raise kind.Unusable(
        "outputs must name the output that holds the logits. Received: "
        f"{outputs!r}; {path} has {', '.join(names)}."
        f"{suggestions.did_you_mean(outputs, names)}"
    )


def _feature_names(shapes, options, path):
    """The outputs that are features, one for each of `options.features`."""
    names = options.features or (() if options.has_logits else ("",))
    return [_feature_name(name, shapes, options, path) for name in names]


def _feature_name(name, shapes, options, path):
    if name in shapes:
        return name
    if not name and not options.has_logits and len(shapes) == 1:
        return next(iter(shapes))
    if not name and options_lib.FEATURES in shapes:
        return options_lib.FEATURES
    raise kind.Unusable(
        "the features of a SavedModel must be named outputs, since its layers "
        "are not known; those of a .keras file are, such as "
        "<workdir>/teacher/teacher.keras of a training. Received: "
        f"{name!r}; {path} has {', '.join(sorted(shapes))}."
        f"{suggestions.did_you_mean(name, shapes)}"
    )


KIND = kind.TeacherKind(
    name="saved_model",
    title="SavedModel",
    expected="SavedModel directory (with saved_model.pb)",
    can_load=can_load,
    load=load,
    size=size,
    load_teacher=load_teacher,
    has_signatures=True,
    weight_arrays=weight_arrays,
    graph=graph,
    network_weights=network_weights,
    is_graph=True,
)

"""SavedModel directories, run by TensorFlow."""

from kd_keras.models import image_spec as image_specs
from kd_keras.teachers import graph_digest, kind
from kd_keras.teachers import options as options_lib


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
        return teacher_of_loaded(
            loaded, path=str(path), outputs=options.outputs
        )


def teacher_of_loaded(loaded, *, path, outputs):
    """Makes a teacher of a SavedModel that TensorFlow has loaded.

    Args:
        loaded: result of `tf.saved_model.load`.
        path: str, its path or another name.
        outputs: str; see `loading.load_teacher`.

    Returns:
        `Teacher`.

    Raises:
        ValueError: if it has no suitable signature, input or output.
    """
    import tensorflow as tf

    from kd_keras.teachers import teacher

    signature = _serving_signature(loaded.signatures, path)
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise kind.Unusable(
            "a teacher must take one input, the images. Received: "
            f"{path} with {sorted(inputs)}"
        )
    ((input_name, spec),) = inputs.items()
    output_name = _output_name(
        signature.structured_outputs, outputs, options_lib.MEANINGS, path
    )

    of_floats = loaded.signatures.get("float_images")

    def logits(images):
        if of_floats is not None and images.dtype.is_floating:
            # Not rounded to the integers of the other signature.
            result = of_floats(images=tf.cast(images, tf.float32))
            return teacher.as_logits(result[output_name], outputs)
        result = signature(**{input_name: as_input(images, spec.dtype)})
        return teacher.as_logits(result[output_name], outputs)

    # A SavedModel's variables live only as long as the loaded object.
    logits.keep_alive = loaded
    output_shape = signature.structured_outputs[output_name].shape
    num_classes = output_shape[-1] if output_shape.rank else None
    return teacher.Teacher(
        logits,
        path=path,
        image_shape=tuple(spec.shape[1:]) if spec.shape.rank else (),
        num_classes=num_classes,
        outputs_activation=teacher.activation_of(outputs, num_classes),
        image_spec=image_specs.UINT8 if spec.dtype == tf.uint8 else None,
    )


def as_input(images, dtype):
    """Converts images from 0 to 255 to the type that a signature takes."""
    import tensorflow as tf

    if dtype.is_integer and not images.dtype.is_integer:
        images = tf.saturate_cast(tf.round(images), dtype)
    return tf.cast(images, dtype)


def weight_arrays(path):
    with kind.errors_of_loading(path):
        reader = _variables(path)
        for name in reader.get_variable_to_shape_map():
            if not name.startswith("_CHECKPOINTABLE_OBJECT_GRAPH"):
                yield reader.get_tensor(name)


def graph(path):
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
        signature = _serving_signature(signatures, path)
        return graph_digest.digest(meta_graph, signature, _variables(path))


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


def _serving_signature(signatures, path):
    if "serving_default" in signatures:
        return signatures["serving_default"]
    if len(signatures) != 1:
        raise kind.Unusable(
            "a SavedModel must have the signature serving_default, or only "
            f"one signature. Received: {path} with {sorted(signatures)}"
        )
    return next(iter(signatures.values()))


def _output_name(structured_outputs, outputs, general_names, path):
    names = sorted(structured_outputs)
    if outputs in names:
        return outputs
    if outputs in general_names and len(names) == 1:
        return names[0]
    raise kind.Unusable(
        "outputs must name the output that holds the logits. Received: "
        f"{outputs!r}; {path} has {', '.join(names)}"
    )


KIND = kind.TeacherKind(
    name="saved_model",
    title="SavedModel",
    expected="SavedModel directory (with saved_model.pb)",
    can_load=can_load,
    load=load,
    size=size,
    load_teacher=load_teacher,
    weight_arrays=weight_arrays,
    graph=graph,
    network_weights=network_weights,
)

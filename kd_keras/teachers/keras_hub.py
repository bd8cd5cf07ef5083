"""KerasHub presets, with the preprocessing that belongs to them.

A preset is a name (`keras_hub:resnet_50_imagenet`), a handle
(`keras_hub:hf://NAME`), or a directory that `save_to_preset` wrote.
"""

from kd_keras.teachers import architecture, kind
from kd_keras.teachers import options as teacher_options
from kd_keras.utils import digests

PREFIX = "keras_hub:"
_CONFIG = "config.json"
# Weights in one file, or the list of several files.
_WEIGHTS = ("model.weights.h5", "model.weights.json")
# Values that `teacher.outputs` may have, by the saved classifier's activation.
_MEANINGS = {"softmax": "probabilities", "sigmoid": "label_probabilities"}


def can_load(path):
    return (path / _CONFIG).is_file() and any(
        (path / name).is_file() for name in _WEIGHTS
    )


def is_name(name):
    return name.startswith(PREFIX)


def load(reference, threads=None):
    from kd_keras.teachers import teacher

    teacher.set_threads(threads)
    loaded = load_teacher(reference, teacher_options.TeacherOptions())
    return teacher.classifier_of(loaded, kind=KIND.name)


def load_teacher(reference, options):
    import tensorflow as tf

    from kd_keras.models import image_spec, inner_outputs
    from kd_keras.teachers import hub_preset, teacher
    from kd_keras.teachers.outputs import Outputs

    preset = _load(reference)
    has_logits = _has_logits(preset, options.outputs, reference)
    names = options.features if has_logits else options.features or ("",)
    if preset.activation is None:
        names = [name or hub_preset.POOLED for name in names]
    try:
        network = inner_outputs.with_features(preset.network, names)
    except ValueError as error:
        raise kind.Unusable(f"{error}, in {reference}") from None

    def outputs(images):
        # Outside of a graph, KerasHub rounds resized images of integers.
        images = tf.cast(images, tf.float32)
        if preset.preprocess is not None:
            images = preset.preprocess(images)
        logits, features = network(images)
        return Outputs(
            tf.cast(logits, tf.float32) if has_logits else None, features
        )

    shape = preset.network.input_shape[1:]
    return teacher.Teacher(
        outputs,
        path=str(reference),
        image_shape=(None, None, shape[-1]) if preset.image_size else shape,
        num_classes=preset.network.output_shape[-1] if has_logits else None,
        has_logits=has_logits,
        feature_shapes=network.shapes or (),
        image_spec=image_spec.UINT8 if preset.preprocess else None,
    )


def _has_logits(preset, outputs, reference):
    """Whether a teacher returns logits; refuses outputs that a preset lacks."""
    if outputs == teacher_options.FEATURES:
        return False
    if preset.activation is None:
        raise kind.Unusable(
            "a backbone without a classifier has features, no logits: "
            f"outputs='features' (teacher.outputs=features). Received: "
            f"{reference} with outputs={outputs!r}"
        )
    allowed = ["logits", "features"]
    allowed += [m for a, m in _MEANINGS.items() if a == preset.activation]
    if outputs not in allowed:
        raise kind.Unusable(
            f"outputs must be {' or '.join(allowed)} for the preset "
            f"{reference}. Received: {outputs!r}"
        )
    return True


def _load(reference):
    from kd_keras.teachers import hub_preset

    with kind.errors_of_loading(reference):
        return hub_preset.load(str(reference).removeprefix(PREFIX))


def weight_arrays(reference):
    return _load(reference).network.get_weights()


def graph(reference):
    preset = _load(reference)
    weights = [
        digests.sha256_of_arrays(x) for x in preset.network.get_weights()
    ]
    return digests.sha256_of_text(
        f"{architecture.digest(preset.config)} {weights}"
    )


KIND = kind.TeacherKind(
    name="keras_hub",
    title="KerasHub",
    expected="directory of a KerasHub preset",
    can_load=can_load,
    load=load,
    load_teacher=load_teacher,
    weight_arrays=weight_arrays,
    graph=graph,
    is_name=is_name,
    expected_name=f"{PREFIX}PRESET",
    is_graph=True,
)

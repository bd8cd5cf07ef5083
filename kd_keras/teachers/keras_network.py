"""Makes a teacher of a Keras network: its logits, inner outputs, or both."""

import contextlib

import tensorflow as tf

from kd_keras.models import activations, first_layer, inner_outputs, interface
from kd_keras.teachers import kind, teacher
from kd_keras.teachers import options as options_lib
from kd_keras.teachers.outputs import Outputs


def teacher_of(network, *, path, options):
    """Makes a frozen `Teacher` of a network.

    Args:
        network: Keras model; it is frozen.
        path: str, its path or another name.
        options: `TeacherOptions`; `outputs` and `features` are used.

    Raises:
        ValueError: if it does not take images alone, or has no such output
            or layer.
    """
    network.trainable = False
    image_shape = interface.input_shape(network)
    if not isinstance(image_shape, tuple):
        raise kind.Unusable(
            "a teacher must take one input, the images. Received: "
            f"{path} with {image_shape}"
        )
    make = _classifier if options.has_logits else _embedding
    with _naming(path):
        return make(
            network,
            options,
            path=str(path),
            image_shape=image_shape[1:],
            image_spec=first_layer.expected_images(network),
        )


def _classifier(network, options, **attributes):
    """A teacher of logits, and of inner outputs where some are named."""
    outputs = options.outputs
    general = (*options_lib.MEANINGS, teacher.AS_THE_LAYERS_TELL)
    choice = {
        "output": None if outputs in general else outputs,
        "default": "logits" if outputs in general else outputs,
        "role": "teacher",
        "option": "outputs",
    }
    num_outputs = interface.output_shape(network, **choice)[-1]
    meaning = teacher.meaning(
        outputs, activations.of_model(network), num_outputs
    )
    extract, shapes = _extractor(network, options.features, choice["output"])

    def function(images):
        result, features = extract(images)
        result = interface.logits_of(network, result, **choice)
        return Outputs(teacher.as_logits(result, meaning), features)

    return teacher.Teacher(
        function,
        num_classes=num_outputs,
        feature_shapes=shapes,
        outputs_activation=teacher.activation_of(meaning, num_outputs),
        **attributes,
    )


def _embedding(network, options, **attributes):
    """A teacher whose outputs are features, not logits."""
    names = options.features or (inner_outputs.LAST,)
    # The last features of a network without a classifier are its own output.
    inner = [name for name in names if name != inner_outputs.LAST]
    extract, inner_shapes = _extractor(network, inner)
    last_shape = None
    if inner_outputs.LAST in names:
        last_shape = _embedding_of(network, interface.outputs_of(network)).shape

    def arranged(last, features):
        features = iter(features)
        return tuple(
            last if name == inner_outputs.LAST else next(features)
            for name in names
        )

    def function(images):
        result, features = extract(images)
        last = None
        if last_shape is not None:
            last = tf.cast(_embedding_of(network, result), tf.float32)
        return Outputs(None, arranged(last, features))

    return teacher.Teacher(
        function,
        num_classes=None,
        has_logits=False,
        feature_shapes=arranged(last_shape and last_shape[1:], inner_shapes),
        **attributes,
    )


def _embedding_of(network, outputs):
    """The only output, or the one that is named `features`."""
    named = interface.by_name(network, outputs)
    if len(named) != 1 and options_lib.FEATURES not in named:
        raise ValueError(
            "features must name the embedding among several outputs "
            "(distill.features.teacher). Received: "
            f"{', '.join(map(str, named))}"
        )
    return named.get(options_lib.FEATURES, next(iter(named.values())))


def _extractor(network, names, output=None):
    """A function images -> `(outputs, features)`, and the features' shapes."""
    if not names:
        return (lambda images: (network(images, training=False), ())), ()
    extractor = inner_outputs.with_features(network, names, output=output)

    def extract(images):
        result, features = extractor(images, training=False)
        return result, tuple(tf.cast(x, tf.float32) for x in features)

    return extract, extractor.shapes


@contextlib.contextmanager
def _naming(path):
    """Adds the file's name to errors about a model's outputs."""
    try:
        yield
    except kind.Unusable:
        raise
    except ValueError as error:
        raise kind.Unusable(f"{error}, in {path}") from None

"""Python functions of image batches, named as `module:function`.

A function of TensorFlow is a part of the graph; any other function is called
with arrays. Its outputs are known in advance if the size of its images is.
"""

import numpy as np

from kd_keras.teachers import array_model, kind
from kd_keras.teachers.options import FEATURES, MEANINGS
from kd_keras.utils import digests, source_code, suggestions

_CHANNELS = 3


def is_name(name):
    return source_code.is_name(name)


def load_teacher(name, options):
    function = source_code.load(name, what=f"the teacher {name}")
    shape = _image_shape(function, name, options)
    if shape is None:
        return _of_images_of_any_shape(function, name, options)

    return _of_tensors(function, shape, name, options) or _of_arrays(
        function, shape, name, options
    )


def weight_arrays(name):
    yield np.frombuffer(bytes.fromhex(_code(name)), "uint8")


def graph(name):
    return digests.sha256_of_text(f"{name.partition(':')[2]} {_code(name)}")


def _code(name):
    """SHA-256 of the function's module and of the user's modules it imports."""
    code = source_code.fingerprint(name.partition(":")[0])
    if code is None:
        raise kind.Unusable(
            "a teacher that is a function must be in a module of Python source "
            "in this directory or on the path: module:function. Received: "
            f"{name}, of which no source was found"
        )
    return code


def _image_shape(function, name, options):
    """`(height, width, channels)` of its images, None if it is unknown."""
    from kd_keras.models import resizing

    shape = getattr(function, "image_shape", None)
    if shape is None:
        if not options.image_size:
            return None
        return (*resizing.as_size(options.image_size), _CHANNELS)
    if not isinstance(shape, (tuple, list)) or len(shape) != 3:
        raise kind.Unusable(
            "the attribute image_shape of a function must be (height, width, "
            f"channels). Received: {shape!r} of {name}"
        )
    return tuple(shape)


def _of_images_of_any_shape(function, name, options):
    """A teacher of logits alone, whose number is known after a call."""
    import tensorflow as tf

    from kd_keras.teachers import functions, teacher

    if array_model.feature_names(options):
        raise kind.Unusable(
            "the shape of a feature must be known: give teacher.image_size, "
            "or the function an attribute, such as FUNCTION.image_shape = "
            f"(28, 28, 1). Received: {name} with features"
        )
    plain = functions.PlainFunction(function, _output(options))

    def logits(images):
        result = plain(tf.cast(images, tf.float32))
        return teacher.as_logits(result, options.outputs)

    return teacher.Teacher(
        logits,
        path=name,
        image_shape=(),
        num_classes=None,
        outputs_activation=teacher.activation_of(options.outputs, None),
    )


def _of_tensors(function, shape, name, options):
    """A teacher inside the graph; None if it takes no symbolic tensors."""
    import tensorflow as tf

    from kd_keras.teachers import functions, outputs, teacher

    # AutoGraph converts the user's code alone, which takes long.
    converted = tf.function(function)

    @tf.function(autograph=False)
    def call(images):
        results = _chosen(converted(images), name, options)
        for result in results:
            tf.debugging.assert_equal(
                tf.shape(result)[0], tf.shape(images)[0], functions.WRONG_BATCH
            )
        return results

    spec = tf.TensorSpec((None, *shape), tf.float32)
    try:
        found = call.get_concrete_function(spec).structured_outputs
    except kind.Unusable:
        raise
    except Exception:
        # It computes with NumPy or in another runtime.
        return None
    if any(x.shape.rank and x.shape[0] is not None for x in found):
        # A constant, which another runtime computed when it was traced.
        return None
    shapes = [tuple(x.shape[1:]) if x.shape.rank else () for x in found]
    if any(not x or x[-1] is None for x in shapes) or (
        options.has_logits and len(shapes[0]) != 1
    ):
        raise kind.Unusable(
            "a teacher must return logits (batch, num_classes) and features "
            "(batch, ...) of known sizes. Received: "
            f"{name}, which returns {', '.join(str(x.shape) for x in found)}"
        )

    def predict(images):
        results = call(tf.cast(images, tf.float32))
        if not options.has_logits:
            return outputs.Outputs(None, tuple(results))
        logits = teacher.as_logits(results[0], options.outputs)
        return outputs.Outputs(logits, tuple(results[1:]))

    num_classes = shapes[0][0] if options.has_logits else None
    return teacher.Teacher(
        predict,
        path=name,
        image_shape=shape,
        num_classes=num_classes,
        has_logits=options.has_logits,
        feature_shapes=shapes[options.has_logits :],
        outputs_activation=teacher.activation_of(options.outputs, num_classes),
    )


def _of_arrays(function, shape, name, options):
    """A teacher that is called with arrays."""
    import tensorflow as tf

    from kd_keras.teachers import image_input

    def run(images):
        try:
            outputs = function(images)
        except AttributeError as error:
            if error.name != "numpy":
                raise
            # The function calls `images.numpy()` itself.
            outputs = function(tf.constant(images))
        return [np.asarray(x) for x in _chosen(outputs, name, options)]

    names = array_model.feature_names(options)
    return array_model.teacher(
        run,
        images=image_input.ImageInput("float32", shape, channels_first=False),
        path=name,
        options=options,
        logits=() if options.has_logits else None,
        features=[(array_model.Feature(x), ()) for x in names],
    )


def _output(options):
    """The name of the output with the logits, None for the only one."""
    return None if options.outputs in MEANINGS else options.outputs


def _chosen(outputs, name, options):
    """The logits, unless there are none, and the features: a list."""
    from kd_keras.models import interface

    chosen = []
    if options.has_logits:
        try:
            logits = interface.logits_of(
                None,
                outputs,
                _output(options),
                role="teacher",
                option="outputs",
            )
        except ValueError as error:
            raise kind.Unusable(f"{error}, of {name}") from None
        chosen.append(logits)
    named = interface.by_name(None, outputs)
    names = array_model.feature_names(options)
    return chosen + [_feature(x, named, name, options) for x in names]


def _feature(feature, named, name, options):
    if feature in named:
        return named[feature]
    if not feature and FEATURES in named:
        return named[FEATURES]
    if not feature and not options.has_logits and len(named) == 1:
        return next(iter(named.values()))
    names = [str(x) for x in named]
    raise kind.Unusable(
        "features must be keys of the dict that the function returns, or "
        f"empty for {FEATURES!r}. Received: {feature!r}; {name} returns "
        f"{', '.join(names)}.{suggestions.did_you_mean(feature, names)}"
    )


KIND = kind.TeacherKind(
    name="python_function",
    title="Python function",
    expected="",
    can_load=lambda path: False,
    load=None,
    load_teacher=load_teacher,
    weight_arrays=weight_arrays,
    graph=graph,
    is_name=is_name,
    expected_name="module:function",
)

"""Teachers: frozen functions of TensorFlow tensors, images -> logits."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from kd_keras.models import first_layer, interface
from kd_keras.teachers import (
    classifier,
    functions,
    image_checks,
    loading,
    saved_model,
)
from kd_keras.teachers import options as options_lib
from kd_keras.teachers import outputs as outputs_lib

# The meaning of outputs by the activation before them.
OUTPUTS_OF = {"softmax": "probabilities", "sigmoid": "label_probabilities"}
AS_THE_LAYERS_TELL = "as the layers tell"
# Half of the last digit of a probability near 1.
_HALF_DIGIT = 2.0**-25


class Teacher:
    """A frozen teacher, called as `teacher(images)` -> float32 logits.

    A plain object instead of a layer, so that a model that holds it never
    tracks, saves or trains its variables.

    Args:
        function: function of a tensor of images -> float32 logits `(batch,
            num_classes)`, or `Outputs` where it has features, too.
        path: as the attribute, like the further arguments.
        image_shape, num_classes, has_logits, feature_shapes: attributes.
        image_spec, class_names, outputs_activation: attributes.
        preprocess, preprocessed_by: attributes.

    Attributes:
        function: the function, without checks of its images.
        path: str, the path or name it was loaded from.
        image_shape: `(height, width, channels)`, None for any size.
        num_classes: int, or None if its output shape does not have it.
        has_logits: bool, False for a model that is no classifier.
        feature_shapes: list of tuples, the shapes of its features without
            the batch.
        image_spec: `ImageSpec` of the images that it takes, or None if that
            is unknown.
        class_names: list of str in the order of the logits, or None if they
            are unknown.
        outputs_activation: `softmax` or `sigmoid` if the logits are computed
            from such outputs, else None.
        preprocess: str, the name of its preprocessing.
        preprocessed_by: function of a name, as `preprocessing.find` takes it,
            -> the same model with that preprocessing, a `Teacher`; None where
            that is unknown.
    """

    def __init__(
        self,
        function,
        *,
        path,
        image_shape,
        num_classes,
        has_logits=True,
        feature_shapes=(),
        image_spec=None,
        class_names=None,
        outputs_activation=None,
        preprocess="none",
        preprocessed_by=None,
    ):
        self.function = function
        self.path = path
        self.image_shape = image_shape
        self.num_classes = num_classes
        self.has_logits = has_logits
        self.feature_shapes = [tuple(shape) for shape in feature_shapes]
        self.image_spec = image_spec
        self.class_names = class_names
        self.outputs_activation = outputs_activation
        self.preprocess = preprocess
        self.preprocessed_by = preprocessed_by

    def __call__(self, images):
        """Computes the logits of a batch.

        Args:
            images: tensor or array `(batch, height, width, channels)`. The
                channel of grey images is repeated for a model of colours.

        Raises:
            ValueError: if the images are of another shape or range, or the
                model is no classifier.
        """
        if not self.has_logits:
            raise ValueError(
                "logits need a teacher that is a classifier. Received: "
                f"{self.path}, which was loaded with outputs='features'"
            )
        return self.outputs(images).logits

    def outputs(self, images):
        """Computes the `Outputs` of a batch, in one pass.

        Args:
            images: as in a call.

        Raises:
            ValueError: if the images are of another shape or range.
        """
        images = image_checks.with_channels(
            tf.convert_to_tensor(images), self.image_shape
        )
        image_checks.check_shape(images, self.image_shape, teacher=self.path)
        images = image_checks.checked(
            images, self.image_spec, teacher=self.path
        )
        return outputs_lib.as_outputs(self.function(images))

    def replaced(self, **attributes):
        """A copy with other attributes.

        Args:
            **attributes: some of the arguments of the class.
        """
        return Teacher(**{**vars(self), **attributes})


def logits_function(teacher, output=None):
    """Makes a plain function, images -> logits, without side effects.

    Args:
        teacher: a Keras model or layer, a loaded SavedModel, the path of a
            SavedModel or `.keras` file, a `Teacher` or `Classifier`, or any
            function images -> logits; see `functions.PlainFunction`.
        output: str or int, the name or index of the output that has the
            logits; None for the only one.

    Returns:
        `(function, num_classes)`; `num_classes` is None if it is unknown
        before a call.

    Raises:
        ValueError: if it is none of these.
    """
    named = "logits" if output is None else str(output)
    if isinstance(teacher, (str, pathlib.Path)):
        teacher, output = loading.load_teacher(teacher, outputs=named), None
    elif hasattr(teacher, "signatures"):
        output = None
        teacher = saved_model.teacher_of_loaded(
            teacher,
            path="a loaded SavedModel",
            options=options_lib.TeacherOptions(outputs=named),
        )
    if isinstance(teacher, (Teacher, classifier.Classifier)):
        check_no_output(output)
        function = teacher.__call__
        if isinstance(teacher, classifier.Classifier):
            function = functions.PlainFunction(function, takes_arrays=True)
        return function, teacher.num_classes
    if isinstance(teacher, keras.layers.Layer):
        return _function_of_layer(teacher, output)
    if callable(teacher) and not isinstance(teacher, type):
        return functions.PlainFunction(teacher, output), None
    raise ValueError(
        "teacher must be a Keras model, a SavedModel, a path, a function "
        "images -> logits (for another runtime, one that calls its session or "
        f"module), or None. Received: {teacher!r}"
    )


def _function_of_layer(layer, output):
    choice = {"role": "teacher", "option": "teacher_output"}
    images_of = checked_images(layer)

    # The function hides the model from Keras's and TensorFlow's tracking.
    def logits(images):
        outputs = layer(images_of(images), training=False)
        return interface.logits_of(layer, outputs, output, **choice)

    return logits, interface.num_classes(layer, output, **choice)


def checked_images(layer):
    """Makes a function that checks and converts the images of a teacher.

    Args:
        layer: Keras model or layer.

    Returns:
        function of a batch of images -> the same, as the layer takes it. The
        images may be the only element of a dict or list; several inputs are
        not checked.
    """
    dtype = None
    if isinstance(layer, keras.layers.TFSMLayer):
        dtype = _input_dtype(layer.call_endpoint_fn)

    image_spec = first_layer.expected_images(layer)
    image_shape = _image_shape(layer)

    def checked(structure):
        tensors = tf.nest.flatten(structure)
        if len(tensors) != 1:
            return structure
        return tf.nest.pack_sequence_as(structure, [checked_tensor(*tensors)])

    def checked_tensor(images):
        if image_shape:
            images = tf.convert_to_tensor(images)
            image_checks.check_shape(images, image_shape, teacher=layer.name)
        if image_spec is not None:
            images = image_checks.checked(
                tf.convert_to_tensor(images), image_spec, teacher=layer.name
            )
        if dtype is not None:
            # Keras casts the images for its own layers only.
            images = saved_model.as_input(images, dtype)
        return images

    return checked


def _image_shape(layer):
    """The shape of a model's images, `()` if it is unknown or not of images.

    A subclassed model knows only the shape of its first batch.
    """
    shape = getattr(layer, "input_shape", None)
    is_of_images = isinstance(shape, tuple) and len(shape) == 4
    return shape[1:] if is_of_images else ()


def _input_dtype(endpoint):
    """Type of the only input of a SavedModel's function; None if unknown."""
    function = getattr(endpoint, "concrete_functions", [endpoint])[0]
    specs = tf.nest.flatten(function.structured_input_signature)
    dtypes = [x.dtype for x in specs if isinstance(x, tf.TensorSpec)]
    return dtypes[0] if len(dtypes) == 1 else None


def check_no_output(output):
    """Raises a ValueError if an output of a loaded teacher is named."""
    if output is not None:
        raise ValueError(
            "teacher_output must be None for a teacher that is loaded; name "
            "the output in load_teacher(path, outputs=...). Received: "
            f"teacher_output={output!r}"
        )


def classifier_of(teacher, *, kind=None):
    """Makes a `Classifier` of a teacher, compiled to a graph.

    Args:
        teacher: `Teacher`.
        kind: str, the kind of its file, or None.
    """
    run = tf.function(lambda images: teacher(images), reduce_retracing=True)
    return classifier.Classifier(
        lambda images: run(tf.constant(images)).numpy(),
        path=teacher.path,
        kind=kind,
        image_shape=teacher.image_shape,
        num_classes=teacher.num_classes,
        image_spec=teacher.image_spec,
        class_names=teacher.class_names,
    )


def as_logits(result, outputs):
    """Converts a network's output to float32 logits.

    Args:
        result: tensor `(batch, num_classes)`.
        outputs: str; `probabilities` are turned into their logarithms, which
            are logits up to a shift that softmax ignores. A single probability
            and `label_probabilities` are turned into `log(p / (1 - p))`.
    """
    result = tf.cast(result, tf.float32)
    if outputs not in options_lib.MEANINGS or outputs == "logits":
        return result
    # A probability that underflowed to 0 must not become -inf.
    logarithms = tf.math.log(tf.maximum(result, np.finfo("float32").tiny))
    if outputs == "probabilities" and result.shape[-1] != 1:
        return logarithms
    return logarithms - tf.math.log(tf.maximum(1.0 - result, _HALF_DIGIT))


def meaning(outputs, activation, num_outputs):
    """The meaning of outputs, by the option and by the network's layers.

    Args:
        outputs: str, as `loading.load_teacher` takes it, or
            `AS_THE_LAYERS_TELL`.
        activation: str or None; see `models.activations.of_model`.
        num_outputs: int or None.

    Raises:
        ValueError: if the two contradict each other.
    """
    told = OUTPUTS_OF.get(activation, "logits")
    if outputs == AS_THE_LAYERS_TELL:
        # Several sigmoids are no prediction of one class.
        several = activation == "sigmoid" and num_outputs != 1
        return "logits" if several else told
    if outputs == "probabilities" and activation == "sigmoid":
        return told
    is_known = activation in (*OUTPUTS_OF, "linear")
    if is_known and outputs in options_lib.MEANINGS and outputs != told:
        raise ValueError(
            f"outputs must be {told!r} for a network that ends in "
            f"{activation}. Received: {outputs!r}"
        )
    return outputs


def activation_of(outputs, num_outputs):
    """The activation of outputs: `softmax`, `sigmoid`, or None of logits.

    Args:
        outputs: str, as `as_logits` takes it.
        num_outputs: int, or None if it is unknown.
    """
    if outputs == "probabilities" and num_outputs == 1:
        return "sigmoid"
    by_outputs = {value: key for key, value in OUTPUTS_OF.items()}
    return by_outputs.get(outputs)


def set_threads(threads):
    """Limits TensorFlow's threads; must precede its first operation.

    Args:
        threads: int, or None for TensorFlow's default.
    """
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)

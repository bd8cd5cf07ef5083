"""Teachers: frozen functions of TensorFlow tensors, images -> logits."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from kd_keras.teachers import classifier, image_checks, loading, saved_model

OUTPUTS = ("logits", "probabilities", "label_probabilities")
# The meaning of outputs by the activation before them.
OUTPUTS_OF = {"softmax": "probabilities", "sigmoid": "label_probabilities"}
# Half of the last digit of a probability near 1.
_HALF_DIGIT = 2.0**-25


class Teacher:
    """A frozen teacher, called as `teacher(images)` -> float32 logits.

    The images are a tensor or an array.

    A plain object instead of a layer, so that a model that holds it never
    tracks, saves or trains its variables.

    Attributes:
        path: str, the path it was loaded from.
        image_shape: `(height, width, channels)`, None for any size.
        num_classes: int, or None if its output shape does not have it.
        image_spec: `ImageSpec` of the images that it takes, or None if that
            is unknown.
    """

    def __init__(
        self, logits, *, path, image_shape, num_classes, image_spec=None
    ):
        self._logits = logits
        self.path = path
        self.image_shape = image_shape
        self.num_classes = num_classes
        self.image_spec = image_spec

    def __call__(self, images):
        images = image_checks.checked(
            tf.convert_to_tensor(images), self.image_spec, teacher=self.path
        )
        return self._logits(images)


def logits_function(teacher):
    """Makes a plain function, images -> logits, without side effects.

    Args:
        teacher: a Keras model, a loaded SavedModel, the path of a SavedModel
            or `.keras` file, or any callable images -> logits.

    Returns:
        `(function, num_classes)`; `num_classes` is None if it is unknown
        before a call.

    Raises:
        ValueError: if it is none of these.
    """
    if isinstance(teacher, (str, pathlib.Path)):
        teacher = loading.load_teacher(teacher)
    if isinstance(teacher, Teacher):
        return teacher.__call__, teacher.num_classes
    if isinstance(teacher, keras.Model):
        num_classes = None
        if teacher.built and not isinstance(teacher.output_shape, list):
            num_classes = teacher.output_shape[-1]
        # The lambda hides the model from Keras's and TensorFlow's tracking.
        return lambda x: teacher(x, training=False), num_classes
    if hasattr(teacher, "signatures"):
        loaded = saved_model.teacher_of_loaded(
            teacher, path="a loaded SavedModel", outputs="logits"
        )
        return loaded.__call__, loaded.num_classes
    if callable(teacher):
        return lambda x: teacher(x), None
    raise ValueError(
        "teacher must be a Keras model, a SavedModel, a path, a callable or "
        f"None. Received: {teacher!r}"
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
    )


def as_logits(result, outputs):
    """Converts a network's output to float32 logits.

    Args:
        result: tensor `(batch, num_classes)`.
        outputs: str; `probabilities` are turned into their logarithms, which
            are logits up to a shift that softmax ignores. A single one, and
            `label_probabilities`, are turned into `log(p / (1 - p))`.
    """
    result = tf.cast(result, tf.float32)
    if outputs not in OUTPUTS or outputs == "logits":
        return result
    # A probability that underflowed to 0 must not become -inf.
    logarithms = tf.math.log(tf.maximum(result, np.finfo("float32").tiny))
    if outputs == "probabilities" and result.shape[-1] != 1:
        return logarithms
    return logarithms - tf.math.log(tf.maximum(1.0 - result, _HALF_DIGIT))


def set_threads(threads):
    """Limits TensorFlow's threads; must precede its first operation.

    Args:
        threads: int, or None for TensorFlow's default.
    """
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)

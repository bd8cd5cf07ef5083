"""The outputs of a teacher for views of examples, whatever their source.

`answers(ids, view, images)` returns `outputs.Outputs`: of a network that
predicts the images (`LiveAnswers`), or of a store that is read by id and view
(`store.answers.StoredAnswers`). Training and evaluation use both alike.
"""

import numpy as np
import tensorflow as tf

from kd_keras.data import pipeline
from kd_keras.teachers import outputs as outputs_lib
from kd_keras.utils import tf_data


class LiveAnswers:
    """Answers of a teacher that predicts every batch.

    Args:
        load: function without arguments that returns the teacher, a
            `Teacher`. Called once, when the teacher is needed.
        record: dict of JSON values that identifies the teacher.
        class_names: list of str, the classes that are recorded with the
            teacher, or None.
        has_logits: bool, False for a teacher that is no classifier.
        reduce: function of `Outputs` -> `Outputs` that reduces the teacher's
            features to what a student is compared with; None for a teacher
            without features.
    """

    def __init__(
        self, load, *, record, class_names=None, has_logits=True, reduce=None
    ):
        self._load = load
        self._teacher = None
        self.class_names = class_names
        self.has_logits = has_logits
        self._reduce = reduce or (lambda outputs: outputs)
        # The result of a training depends on this record.
        self.record = {f"teacher.{key}": value for key, value in record.items()}

    def __call__(self, ids, view, images):
        """The teacher's `Outputs` for a view of some examples.

        Args:
            ids: int64 tensor `(batch,)`.
            view: int or int64 scalar, the view's number.
            images: tensor `(batch, height, width, channels)`, the view.
        """
        return self._reduce(self.function.outputs(images))

    def open(self):
        """Loads the teacher, unless it is loaded."""
        if self._teacher is None:
            self._teacher = self._load()

    @property
    def function(self):
        """The `Teacher`, for the `Distiller` to call."""
        self.open()
        return self._teacher

    @property
    def feature_shapes(self):
        """None: the `Distiller` asks the teacher itself."""

    @property
    def num_classes(self):
        """int, or None if the teacher's output does not have a fixed size."""
        return self.function.num_classes

    def part(self, name):
        """The answers for another part of the dataset: the same."""
        return self

    def view_of(self, epoch):
        """The number of the view that an epoch shows."""
        return epoch

    def join(self, batches, view=0):
        """Batches for a `Distiller` that calls the teacher itself.

        Args:
            batches: `tf.data.Dataset` of `(ids, images[, labels])`.
            view: int or int64 scalar, the images' view.

        Returns:
            `tf.data.Dataset` of `images` or `(images, labels)`.
        """
        return pipeline.drop_ids(batches, view)


def join_by_id(batches, ids, outputs):
    """Joins outputs of some examples to batches of them.

    Args:
        batches: `tf.data.Dataset` of `(ids, images[, labels])`.
        ids: int64 array `(n,)`, of the examples that have the outputs.
        outputs: `Outputs` of arrays `(n, ...)`.

    Returns:
        `tf.data.Dataset` of `(images, y)` for a `Distiller` without a
        teacher: `y` is a dict of `teacher_logits` and/or `teacher_features`
        and, if any, `labels`.
    """
    order = np.argsort(ids, kind="stable")
    sorted_ids = tf.constant(np.asarray(ids)[order])
    order = tf.constant(order)
    y = tf.nest.map_structure(tf.constant, outputs_lib.as_targets(outputs))

    @tf_data.unconverted
    def join(ids, images, labels=None):
        rows = tf.gather(order, tf.searchsorted(sorted_ids, ids))
        part = tf.nest.map_structure(lambda values: tf.gather(values, rows), y)
        if labels is not None:
            part["labels"] = labels
        return images, part

    return batches.map(join)

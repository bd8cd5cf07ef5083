"""The outputs of a teacher for views of examples, whatever their source.

`answers(ids, view, images)` returns `outputs.Outputs`: of a network that
predicts the images (`LiveAnswers`), or of a store that is read by id and view
(`store.answers.StoredAnswers`). Training and evaluation use both alike.
"""

import tensorflow as tf

from kd_keras.data import pipeline


class LiveAnswers:
    """Answers of a teacher that predicts every batch.

    Args:
        load: function without arguments that returns the teacher, a
            `Teacher`. Called once, when the teacher is needed.
        record: dict of JSON values that identifies the teacher.
        class_names: list of str, the classes that are recorded with the
            teacher, or None.
    """

    def __init__(self, load, *, record, class_names=None):
        self._load = load
        self._teacher = None
        self.class_names = class_names
        # A training's result depends on it.
        self.record = {f"teacher.{key}": value for key, value in record.items()}

    def __call__(self, ids, view, images):
        """The teacher's `Outputs` for a view of some examples.

        Args:
            ids: int64 tensor `(batch,)`.
            view: int or int64 scalar, the view's number.
            images: tensor `(batch, height, width, channels)`, the view.
        """
        return self.function.outputs(images)

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


def join_in_order(batches, logits):
    """Joins logits to batches that show every example once, in order.

    Args:
        batches: `tf.data.Dataset` of `(ids, images[, labels])`.
        logits: float array `(n, num_classes)`, in the order of the batches.

    Returns:
        `tf.data.Dataset` of `(images, y)` for a `Distiller` without a
        teacher: `y` is a dict of `teacher_logits` and, if any, `labels`.
    """

    def join(start, batch):
        _, images, *labels = batch
        end = start + tf.shape(images)[0]
        y = {"teacher_logits": logits[start:end]}
        if labels:
            (y["labels"],) = labels
        return end, (images, y)

    logits = tf.constant(logits)
    return batches.scan(tf.constant(0), join)

"""A model that is run on arrays, whatever its runtime."""

import numpy as np

from kd_keras.teachers import array_model


class Classifier:
    """A model on arrays, called as `classifier(images)` -> logits.

    Args:
        run: function of a contiguous array of images -> logits.
        path: str or path, or another name of the model.
        kind: str, the `name` of its `Kind`, or None without a file.
        image_shape: `(height, width, channels)`, None for any size; `()` if
            it is unknown.
        num_classes: int, or None if it is unknown.
        arena_bytes: int, memory of a C array's tensors; None for other kinds.
        image_spec: `ImageSpec` of the images that it takes, or None if that
            is unknown.
        class_names: list of str in the order of the logits, or None if they
            are unknown.
    """

    def __init__(
        self,
        run,
        *,
        path,
        kind,
        image_shape,
        num_classes,
        arena_bytes=None,
        image_spec=None,
        class_names=None,
    ):
        self._run = run
        self.path = str(path)
        self.kind = kind
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        self.arena_bytes = arena_bytes
        self.image_spec = image_spec
        self.class_names = class_names

    def __call__(self, images):
        """Computes the logits of a batch.

        Args:
            images: array `(batch, height, width, channels)`.

        Returns:
            float32 array `(batch, num_classes)`.

        Raises:
            ValueError: if the model returns several axes of other sizes
                than 1 for an image.
        """
        logits = np.asarray(self._run(np.ascontiguousarray(images)))
        return array_model.as_matrix(logits, self.path)

    def resizing(self):
        """Makes a classifier of images of any size, resized for this one.

        Returns:
            `Classifier`; itself if it takes images of any size.
        """
        height, width, channels = self.image_shape or (None, None, None)
        if None in (height, width):
            return self
        # Imported here, since it needs TensorFlow.
        from kd_keras.models import resizing

        return Classifier(
            lambda images: self(resizing.resize_array(images, (height, width))),
            path=self.path,
            kind=self.kind,
            image_shape=(None, None, channels),
            num_classes=self.num_classes,
            image_spec=self.image_spec,
            class_names=self.class_names,
        )

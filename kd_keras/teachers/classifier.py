"""A model that is run on arrays, whatever its runtime."""

import numpy as np


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
    ):
        self._run = run
        self.path = str(path)
        self.kind = kind
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        self.arena_bytes = arena_bytes
        self.image_spec = image_spec

    def __call__(self, images):
        """Computes the logits of a batch.

        Args:
            images: array `(batch, height, width, channels)`.

        Returns:
            float32 array `(batch, num_classes)`.
        """
        return self._run(np.ascontiguousarray(images))

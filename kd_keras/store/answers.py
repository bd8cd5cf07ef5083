"""Stored outputs of a teacher; see `teachers.answers`."""

import tensorflow as tf

from kd_keras.store import manifest as manifests


class StoredAnswers:
    """Answers that are read from a logit store.

    Args:
        open_store: function without arguments that returns the
            `LogitStore`. Called once, when the outputs are needed.
        manifest: dict, the store's manifest, as `plan` returns it.
        part: str, the part of the store that the ids belong to.
        share_views: bool; True returns the outputs of view 0, an image
            without augmentation, for every view of it.
    """

    # Batches bring the logits: the `Distiller` calls no teacher.
    function = None

    def __init__(
        self, open_store, *, manifest, part="train", share_views=False
    ):
        self._open_store = open_store
        self._manifest = manifest
        self._part = part
        self._share_views = share_views
        self._store = None
        # The result of a training depends on this record.
        self.record = {
            f"store.{key}": value
            for key, value in manifests.comparable(manifest).items()
        }
        if share_views:
            self.record["store.share_views"] = True
        self.num_classes = manifest["num_classes"] or None
        self.has_logits = bool(manifest["num_classes"])
        features = manifest.get("features", ())
        self.feature_shapes = [feature["shape"] for feature in features]
        self.class_names = manifest.get("class_names")

    def __call__(self, ids, view, images):
        """The stored `Outputs` for a view of some examples.

        Args:
            ids: int64 tensor `(batch,)`.
            view: int or int64 scalar, the view's number.
            images: not used; the outputs are looked up by id and view.
        """
        return self.open().lookup(ids, self._stored(view), self._part)

    def open(self):
        """Opens the store, unless it is open."""
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def part(self, name):
        """The answers for another part of the dataset.

        Args:
            name: `train`, `validation` or `test`.

        Returns:
            `StoredAnswers`, or None if the store does not have the part.
        """
        if name not in self._manifest["parts"]:
            return None
        return StoredAnswers(
            self.open,
            manifest=self._manifest,
            part=name,
            share_views=self._share_views,
        )

    def view_of(self, epoch):
        """The number of the view that an epoch shows.

        That is a stored view, unless all views share one prediction.
        """
        if self._share_views:
            return epoch
        return epoch % self._manifest["parts"]["train"]["views"]

    def _stored(self, view):
        """The number of the stored view for a view."""
        return tf.zeros_like(view) if self._share_views else view

    def join(self, batches, view=0):
        """Batches for a `Distiller` without a teacher.

        Args:
            batches: `tf.data.Dataset` of `(ids, images[, labels])`.
            view: int or int64 scalar, the images' view.

        Returns:
            `tf.data.Dataset` of `(images, y)`; see `LogitStore.attach`.
        """
        return self.open().attach(batches, self._stored(view), self._part)

"""Examples in memory or streamed from disk, and datasets made of them."""

import copy
import dataclasses
import functools

import numpy as np
import tensorflow as tf

from kd_keras.data import fingerprints, order
from kd_keras.data import labels as labels_lib
from kd_keras.models import image_spec as image_specs
from kd_keras.utils import digests

# Examples of a stream that are shuffled together.
_SHUFFLE_WINDOW = 10_000
# Images of a stream that its fingerprint was computed from in version 0.1.
_FINGERPRINT_SAMPLE = 256
# Images of a stream that its range of values is measured on.
_RANGE_SAMPLE = 1000


class Examples:
    """Examples in memory.

    Args:
        images: array `(n, height, width[, channels])`: integers from 0 to
            255, or finite numbers of any other range, which are used as
            float32.
        labels: class numbers `(n,)` from 0, one-hot `(n, num_classes)`, or
            None.
        num_classes: int; by default the largest label plus one, or None
            without labels.
        ids: int64 array `(n,)`, by default 0 to n - 1. An example keeps its
            id in every subset.
        image_spec: `ImageSpec` of the set that the images are a part of; by
            default it is measured on the images.

    Raises:
        ValueError: if there are no images, or not one class for each, or an
            image is not finite.
    """

    def __init__(
        self,
        images,
        labels=None,
        *,
        num_classes=None,
        ids=None,
        image_spec=None,
    ):
        images = image_specs.as_array(images)
        if labels is not None:
            labels, num_classes = labels_lib.class_numbers(
                labels, count=len(images), num_classes=num_classes
            )
        self.images = images
        self.image_spec = image_spec or image_specs.measure(images)
        self.labels = labels
        self.num_classes = num_classes
        self.ids = np.arange(len(images), dtype="int64") if ids is None else ids

    def __len__(self):
        return len(self.ids)

    @property
    def labelled(self):
        return self.labels is not None

    @property
    def image_shape(self):
        return self.images.shape[1:]

    def subset(self, positions):
        """Selects the examples at `positions`; they keep their ids."""
        return Examples(
            self.images[positions],
            None if self.labels is None else self.labels[positions],
            num_classes=self.num_classes,
            ids=self.ids[positions],
            image_spec=self.image_spec,
        )

    def sample(self, count):
        """Selects up to `count` images, spread evenly over the examples."""
        chosen = self.images[:: max(len(self.ids) // count, 1)][:count]
        return self.image_spec.cast(chosen)

    @functools.cached_property
    def fingerprint(self):
        """SHA-256 of the ids and images, without labels: 64 hex digits."""
        return digests.sha256_of_arrays(self.ids, self.images)

    @property
    def images_record(self):
        """What identifies the images, for a store: dict of digests."""
        return {"fingerprint": self.fingerprint}

    @functools.cached_property
    def labels_fingerprint(self):
        """SHA-256 of the labels, or None without labels."""
        return digests.sha256_of_arrays(self.labels) if self.labelled else None

    def at(self, positions):
        """Reads the examples at `positions`: `(ids, images)` tensors."""
        return tuple(tf.gather(p, positions) for p in self._tensors[:2])

    @functools.cached_property
    def _tensors(self):
        # Eager, also while a pipeline is traced: constants of its graph would
        # be copied and searched each time.
        with tf.init_scope(), tf.device("CPU:0"):
            parts = [self.ids, self.image_spec.cast(self.images)]
            if self.labelled:
                parts.append(self.labels)
            return [tf.constant(part) for part in parts]

    def batches(self, batch_size, *, labels, seed=None, epoch=None):
        """Batches the examples.

        Args:
            batch_size: int, the largest size of a batch.
            labels: bool, whether the batches have labels.
            seed: int, to shuffle by seed and epoch into batches whose sizes
                differ by one at most; None for the order of the examples and
                a smaller last batch.
            epoch: int or int64 scalar; with a seed only.

        Returns:
            `tf.data.Dataset` of `(ids, images[, labels])`.
        """
        count = len(self.ids) if seed is None else len(self)
        steps = -(-count // batch_size)
        parts = self._tensors[: 3 if labels else 2]

        def in_order(step):
            start = step * batch_size
            stop = tf.minimum(start + batch_size, count)
            return tuple(part[start:stop] for part in parts)

        def shuffled(step):
            start, stop = step * count // steps, (step + 1) * count // steps
            chosen = positions[start:stop]
            return tuple(tf.gather(part, chosen) for part in parts)

        if seed is not None:
            positions = self._epoch_positions(seed=seed, epoch=epoch)
        return tf.data.Dataset.range(steps).map(
            in_order if seed is None else shuffled,
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    def _epoch_positions(self, *, seed, epoch):
        """Positions of an epoch's examples, in its order: int `(n,)`."""
        return order.epoch_order(self._tensors[0], seed=seed, epoch=epoch)


class StreamedExamples:
    """Examples that are read from disk in every epoch.

    Args:
        open_stream: function without arguments that returns a
            `tf.data.Dataset` of single `(id, image[, label])`, always in the
            same order. The id is the example's position in the stream.
        count: int, the number of examples in the stream.
        image_shape: `(height, width, channels)` of every image.
        labelled: bool, whether the stream has labels.
        num_classes: int or None.
        ids: int64 array, which examples of the stream to use; by default all.
        image_spec: `ImageSpec` of the images; by default it is measured on
            the first 1,000 of the stream.
        contents_digest: function of ids that returns the SHA-256 of what
            these examples are read from, with their labels. By default all
            examples are read for it.
    """

    def __init__(
        self,
        open_stream,
        *,
        count,
        image_shape,
        labelled,
        num_classes=None,
        ids=None,
        image_spec=None,
        contents_digest=None,
    ):
        self.open_stream = open_stream
        self.count = count
        self.image_shape = image_shape
        self.labelled = labelled
        self.num_classes = num_classes
        self.ids = np.arange(count, dtype="int64") if ids is None else ids
        self._image_spec = image_spec
        self._contents_digest = contents_digest

    def __len__(self):
        return len(self.ids)

    @property
    def image_spec(self):
        """`ImageSpec` of the images; the first access may read some."""
        if self._image_spec is None:
            # Eager, also while a pipeline is traced.
            with tf.init_scope():
                first = self.open_stream().batch(_RANGE_SAMPLE).take(1)
                ((_, images, *_),) = first
                self._image_spec = image_specs.measure(images.numpy())
        return self._image_spec

    @functools.cached_property
    def labels(self):
        """int32 array `(n,)`, or None; the first access reads the stream."""
        if not self.labelled:
            return None
        batches = self.batches(_SHUFFLE_WINDOW, labels=True)
        labels, _ = labels_lib.class_numbers(
            np.concatenate([labels for _, _, labels in batches]),
            count=len(self),
            num_classes=self.num_classes,
        )
        return labels

    def subset(self, positions):
        """Selects the examples at `positions`; they keep their ids."""
        return StreamedExamples(
            self.open_stream,
            count=self.count,
            image_shape=self.image_shape,
            labelled=self.labelled,
            num_classes=self.num_classes,
            ids=self.ids[positions],
            image_spec=self.image_spec,
            contents_digest=self._contents_digest,
        )

    def sample(self, count):
        """Reads the first `count` images."""
        batch = next(iter(self.batches(count, labels=False)))
        return batch[1].numpy()

    # The fingerprint is that of the labels, too.
    labels_fingerprint = None

    @functools.cached_property
    def fingerprint(self):
        """SHA-256 of all ids, images and labels: 64 hex digits."""
        if self._contents_digest is None:
            contents = fingerprints.digest_of_stream(self)
        else:
            contents = self._contents_digest(self.ids)
        ids = digests.sha256_of_arrays(self.ids)
        return digests.sha256_of_text(f"{self.image_shape} {ids} {contents}")

    @functools.cached_property
    def images_record(self):
        """As `Examples.images_record`, with `contents` for all examples."""
        return {
            # As in version 0.1, for its stores: all ids, the first images.
            "fingerprint": digests.sha256_of_arrays(
                self.ids, self.sample(_FINGERPRINT_SAMPLE)
            ),
            "contents": self.fingerprint,
        }

    def batches(self, batch_size, *, labels, seed=None, epoch=None):
        """As `Examples.batches`, but shuffled in windows of 10,000."""
        member = np.zeros(self.count, bool)
        member[self.ids] = True
        member = tf.constant(member)
        stream = self.open_stream().filter(lambda i, *rest: member[i])
        dtype = self.image_spec.dtype
        if stream.element_spec[1].dtype != dtype:
            stream = stream.map(
                lambda i, image, *rest: (i, tf.cast(image, dtype), *rest)
            )
        if self.labelled and not labels:
            stream = stream.map(lambda i, image, label: (i, image))
        if seed is None:
            return stream.batch(batch_size)

        # Not `tf.data.Dataset.shuffle`: its order depends on hidden state.
        def reorder(ids, *rest):
            positions = order.epoch_order(ids, seed=seed, epoch=epoch)
            return tuple(tf.gather(part, positions) for part in (ids, *rest))

        stream = stream.batch(_SHUFFLE_WINDOW).map(reorder).unbatch()
        steps = -(-len(self) // batch_size)
        return stream.batch(-(-len(self) // steps))


@dataclasses.dataclass
class Dataset:
    """A named dataset with training and test examples.

    Attributes:
        name: str.
        train: `Examples` or `StreamedExamples`.
        test: the same, or None, as for a flat folder of images.
        source: str, where it was loaded from, for the log and model card.
        class_names: list of str, or None.

    Raises:
        ValueError: if the test images are of another size or range of values
            or have other channels than the training images, or other classes.
    """

    name: str
    train: Examples | StreamedExamples
    test: Examples | StreamedExamples | None
    source: str
    class_names: list | None = None

    def __post_init__(self):
        labels_lib.check_classes(self.train, self.class_names)
        if self.test is not None:
            self.test = _fitting(self.test, self.train)


def _fitting(test, train):
    """The test examples with the classes of the training examples.

    Raises:
        ValueError: if they do not fit the training examples.
    """
    shapes = [tuple(part.image_shape) for part in (train, test)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "test images must have the size and the channels of the training "
            f"images. Received: training {shapes[0]}, test {shapes[1]}"
        )
    image_specs.check_same(
        train.image_spec,
        test.image_spec,
        model="a model of the training images",
        images="test images",
    )
    if not test.labelled:
        raise ValueError(
            "test images need labels (images in one subfolder per class); "
            "without any, leave the test set out. Received: test images "
            "without labels"
        )
    if train.num_classes not in (None, test.num_classes):
        if test.num_classes > train.num_classes:
            raise ValueError(
                "the test set must have the classes of the training set. "
                f"Received: classes 0 to {train.num_classes - 1} to train, "
                f"0 to {test.num_classes - 1} to test"
            )
        # Its largest classes do not occur in the test set.
        test = copy.copy(test)
        test.num_classes = train.num_classes
    return test

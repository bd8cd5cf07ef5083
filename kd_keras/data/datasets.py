"""Examples that are read by their ids, and datasets made of them."""

import copy
import dataclasses
import functools

import numpy as np
import tensorflow as tf

from kd_keras.data import labels as labels_lib
from kd_keras.data import order, readers
from kd_keras.models import image_spec as image_specs
from kd_keras.utils import digests, strategies, tf_data

# Verbs for the parts of a dataset, in messages.
_VERBS = {"test": "test", "validation": "validate"}


class Examples:
    """Examples that are read by their ids.

    Args:
        images: `readers.Reader`, or an array `(n, height, width[,
            channels])`: integers from 0 to 255, or finite numbers of any other
            range, which are used as float32.
        labels: class numbers `(n,)` from 0, one-hot `(n, num_classes)`, or
            None.
        num_classes: int; by default the largest label plus one, or None
            without labels.
        ids: int64 array `(n,)`. For an array, the ids of its images, by
            default 0 to n - 1. For a reader, the ids of the images to use, by
            default all. An example keeps its id in every subset.
        image_spec: `ImageSpec` of the set that an array of images is a part
            of; by default it is measured on the images.

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
        if not isinstance(images, readers.Reader):
            images = readers.ArrayReader(images, image_spec, ids=ids)
            ids = images.ids
        self.reader = images
        self.ids = images.ids if ids is None else ids
        if labels is not None:
            labels, num_classes = labels_lib.class_numbers(
                labels, count=len(self.ids), num_classes=num_classes
            )
        self.labels = labels
        self.num_classes = num_classes

    def __len__(self):
        return len(self.ids)

    @property
    def labelled(self):
        return self.labels is not None

    @property
    def image_shape(self):
        return tuple(self.reader.image_shape)

    @property
    def image_spec(self):
        return self.reader.image_spec

    @property
    def images(self):
        """All images, in one array `(n, height, width, channels)`."""
        return self.reader.array(self.ids)

    def subset(self, positions):
        """Selects the examples at `positions`; they keep their ids."""
        return Examples(
            self.reader,
            None if self.labels is None else self.labels[positions],
            num_classes=self.num_classes,
            ids=self.ids[positions],
        )

    def sample(self, count):
        """Reads up to `count` images, spread evenly over the examples."""
        size = len(self.ids)
        count = min(count, size)
        chosen = self.ids[np.arange(count) * size // count]
        return self.image_spec.cast(self.reader.array(chosen))

    @functools.cached_property
    def images_record(self):
        """Digests that identify the images, for a store: dict."""
        return self.reader.record(self.ids)

    @property
    def fingerprint(self):
        """SHA-256 of the ids and images, without labels: 64 hex digits."""
        return list(self.images_record.values())[-1]

    @functools.cached_property
    def labels_fingerprint(self):
        """SHA-256 of the labels, or None without labels."""
        return digests.sha256_of_arrays(self.labels) if self.labelled else None

    def ids_at(self, positions):
        """The ids of the examples at `positions`: int64 tensor."""
        return tf.gather(self._tensors[0], positions)

    @functools.cached_property
    def _tensors(self):
        """`(ids, labels)`, without labels for examples that have none."""
        # Eager, also while a pipeline is traced: constants of its graph would
        # be copied and searched each time.
        with tf.init_scope(), tf.device("CPU:0"):
            parts = (self.ids, self.labels)
            return [tf.constant(x) for x in parts if x is not None]

    def id_batches(
        self,
        batch_size,
        *,
        labels,
        seed=None,
        epoch=None,
        first_step=0,
        equal=False,
        share=strategies.WHOLE,
    ):
        """Batches the examples, without reading an image.

        Args:
            batch_size: int, the largest size of a batch.
            labels: bool, whether the batches have labels.
            seed: int, to shuffle by seed and epoch, and to cut equally; None
                for the order of the examples.
            epoch: int or int64 scalar; with a seed only.
            first_step: int or int64 scalar, how many batches to leave out.
            equal: bool, whether the sizes of batches without a seed differ by
                one at most; else the last is smaller.
            share: `strategies.Share`. Each batch gives one element for each
                own replica, in order, with the rows of this replica.

        Returns:
            `tf.data.Dataset` of `(ids[, labels])`.
        """
        count = len(self.ids) if seed is None else len(self)
        steps = -(-count // batch_size)
        parts = self._tensors[: 2 if labels else 1]
        equal = equal or seed is not None
        if seed is not None:
            positions = self._epoch_positions(seed=seed, epoch=epoch)

        def bounds(step):
            if equal:
                return step * count // steps, (step + 1) * count // steps
            start = step * batch_size
            return start, tf.minimum(start + batch_size, count)

        @tf_data.unconverted
        def rows(number):
            start, stop = bounds(number // share.own)
            replica = share.first + number % share.own
            if seed is None:
                start += replica
                return tuple(part[start : stop : share.total] for part in parts)
            chosen = positions(start, stop)[replica :: share.total]
            return tuple(tf.gather(part, chosen) for part in parts)

        first_row = first_step * share.own
        return tf.data.Dataset.range(first_row, steps * share.own).map(rows)

    def batches(self, batch_size, **options):
        """As `id_batches`, but of `(ids, images[, labels])`."""

        @tf_data.unconverted
        def read(ids, *labels):
            return (ids, self.reader.read(ids), *labels)

        return self.id_batches(batch_size, **options).map(
            read, num_parallel_calls=self.reader.parallel_batches
        )

    def _epoch_positions(self, *, seed, epoch):
        """An epoch's order: function of `(start, stop)` -> positions."""
        return order.epoch_positions(self._tensors[0], seed=seed, epoch=epoch)


@dataclasses.dataclass
class Dataset:
    """A named dataset with training and test examples.

    Attributes:
        name: str.
        train: `Examples`.
        test: `Examples`, or None, as for a flat folder of images.
        source: str, where it was loaded from, for the log and model card.
        class_names: list of str, or None.
        validation: `Examples`, or None for a part of the training examples.

    Raises:
        ValueError: if the test or validation images have another size, range
            of values or channels than the training images, or other classes.
    """

    name: str
    train: Examples
    test: Examples | None
    source: str
    class_names: list | None = None
    validation: Examples | None = None

    def __post_init__(self):
        labels_lib.check_classes(self.train, self.class_names)
        if self.test is not None:
            self.test = _fitting(self.test, self.train, "test")
        if self.validation is not None:
            self.validation = _fitting(
                self.validation, self.train, "validation"
            )


def _fitting(part, train, name):
    """Gives some examples the classes of the training examples.

    Raises:
        ValueError: if they do not fit the training examples.
    """
    shapes = [tuple(examples.image_shape) for examples in (train, part)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{name} images must have the size and the channels of the "
            f"training images. Received: training {shapes[0]}, {name} "
            f"{shapes[1]}"
        )
    image_specs.check_same(
        train.image_spec,
        part.image_spec,
        model="a model of the training images",
        images=f"{name} images",
    )
    if not part.labelled:
        raise ValueError(
            f"{name} images need labels (images in one subfolder per class); "
            f"without any, leave the {name} set out. Received: {name} images "
            "without labels"
        )
    if train.num_classes not in (None, part.num_classes):
        if part.num_classes > train.num_classes:
            raise ValueError(
                f"the {name} set must have the classes of the training set. "
                f"Received: classes 0 to {train.num_classes - 1} to train, "
                f"0 to {part.num_classes - 1} to {_VERBS[name]}"
            )
        # Its largest classes do not occur in this part.
        part = copy.copy(part)
        part.num_classes = train.num_classes
    return part

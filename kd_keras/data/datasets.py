"""Sets of examples, in memory or streamed."""

import dataclasses
import functools
import hashlib

import numpy as np
import tensorflow as tf

from kd_keras.data import augmentation as views

# Examples of a stream that are shuffled together.
_SHUFFLE_WINDOW = 10_000
# Pictures of a stream that stand for all in its fingerprint.
_FINGERPRINT_SAMPLE = 256


class Examples:
    """A set in memory: uint8 pictures, their ids, perhaps their labels.

    Args:
        images: array `(n, height, width[, channels])`, 0 to 255.
        labels: int array `(n,)` or None.
        num_classes: int; by default the largest label and one, or None
            without labels.
        ids: int64 array `(n,)`: what identifies an example whatever subset
            it is in; 0 to n - 1 by default.

    Raises:
        ValueError: if there are no images, or not one label for each.
    """

    def __init__(self, images, labels=None, *, num_classes=None, ids=None):
        images = np.asarray(images)
        if images.ndim == 3:
            images = images[..., np.newaxis]
        if images.ndim != 4 or not len(images):
            raise ValueError(
                "images must be a non-empty array (n, height, width, channels)"
                f". Received: shape {images.shape}"
            )
        if labels is not None:
            labels = np.asarray(labels).astype("int32").reshape(-1)
            if len(labels) != len(images):
                raise ValueError(
                    "images and labels must be equally many. Received: "
                    f"{len(images)} images, {len(labels)} labels"
                )
            if num_classes is None:
                num_classes = int(labels.max()) + 1
        self.images = images
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
        """The examples at `positions`, with the ids that they have."""
        return Examples(
            self.images[positions],
            None if self.labels is None else self.labels[positions],
            num_classes=self.num_classes,
            ids=self.ids[positions],
        )

    def sample(self, count):
        """Up to `count` pictures, spread evenly over the set."""
        return self.images[:: max(len(self.ids) // count, 1)][:count]

    @functools.cached_property
    def fingerprint(self):
        """SHA-256 of ids and pictures, without the labels: 64 hex digits."""
        return _digest(self.ids, self.images)

    def at(self, positions):
        """`(ids, images)` tensors of the examples at `positions`."""
        return tuple(tf.gather(p, positions) for p in self._tensors[:2])

    @functools.cached_property
    def _tensors(self):
        # Eager, also when a pipeline is being traced: as constants of its
        # graph they would be copied and searched each time.
        with tf.init_scope(), tf.device("CPU:0"):
            parts = [self.ids, self.images]
            if self.labelled:
                parts.append(self.labels)
            return [tf.constant(part) for part in parts]

    def batches(self, batch_size, *, labels, seed=None, epoch=None):
        """`(ids, images[, labels])` batches.

        Without a seed in order, the last one with what is left; else in the
        order of (seed, epoch), and equally large within one example.
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
            return tuple(tf.gather(part, order[start:stop]) for part in parts)

        if seed is not None:
            order = self._epoch_positions(seed=seed, epoch=epoch)
        return tf.data.Dataset.range(steps).map(
            in_order if seed is None else shuffled,
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    def _epoch_positions(self, *, seed, epoch):
        """Whom an epoch shows, in its order: int `(len(self),)`."""
        return views.epoch_order(self._tensors[0], seed=seed, epoch=epoch)


class EnrichedExamples(Examples):
    """Examples of which training sees some classes more often than there are.

    Of any examples that follow each other in an epoch the share of special
    ones is `share`, within one example. An epoch shows each example once at
    most: as many as there can be, so that the scarcer kind is shown whole,
    and of the other a part that is new in every epoch. Its length is that of
    an epoch.

    Args:
        examples: `Examples` with labels.
        classes: list of int, the special ones.
        share: float in (0, 1).

    Raises:
        ValueError: if there are no special examples, or no others.
    """

    def __init__(self, examples, classes, *, share):
        super().__init__(
            examples.images,
            examples.labels,
            num_classes=examples.num_classes,
            ids=examples.ids,
        )
        # Its tensors serve for both: a copy would cost the whole set.
        self._whole = examples
        special = np.isin(self.labels, classes)
        self._positions = np.flatnonzero(special), np.flatnonzero(~special)
        # Of special examples and of others, how many an epoch shows.
        total = int(min(special.sum() / share, (~special).sum() / (1 - share)))
        self._shown = round(total * share), total - round(total * share)
        if not all(self._shown):
            raise ValueError(
                "there must be examples of special classes and of others. "
                f"Received: {special.sum()} of classes {list(classes)}, "
                f"{(~special).sum()} of others"
            )

    def __len__(self):
        return sum(self._shown)

    @property
    def _tensors(self):
        return self._whole._tensors

    def _epoch_positions(self, *, seed, epoch):
        chosen = []
        for positions, shown in zip(self._positions, self._shown):
            order = views.epoch_order(
                tf.gather(self._tensors[0], positions), seed=seed, epoch=epoch
            )
            chosen.append(tf.gather(positions, order[:shown]))
        # The special ones, as evenly spread as whole numbers can be.
        place = np.arange(len(self))
        before = place * self._shown[0] // len(self)
        after = (place + 1) * self._shown[0] // len(self)
        slots = np.where(
            after > before, before, self._shown[0] + place - before
        )
        return tf.gather(tf.concat(chosen, axis=0), slots)


class StreamedExamples:
    """A set that is read from disk in every epoch.

    Args:
        open_stream: function of nothing that returns a `tf.data.Dataset` of
            single `(id, image[, label])`, always in the same order; the id is
            the example's position in it.
        count: int, how many it yields.
        image_shape: `(height, width, channels)`, of every picture.
        labelled: bool.
        num_classes: int or None.
        ids: int64 array of those ids that belong to this set; all by default.
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
    ):
        self.open_stream = open_stream
        self.count = count
        self.image_shape = image_shape
        self.labelled = labelled
        self.num_classes = num_classes
        self.ids = np.arange(count, dtype="int64") if ids is None else ids

    def __len__(self):
        return len(self.ids)

    @functools.cached_property
    def labels(self):
        """int32 array `(n,)`, read in a pass over the set, or None."""
        if not self.labelled:
            return None
        batches = self.batches(_SHUFFLE_WINDOW, labels=True)
        return np.concatenate([labels for _, _, labels in batches])

    def subset(self, positions):
        """The examples at `positions`, with the ids that they have."""
        return StreamedExamples(
            self.open_stream,
            count=self.count,
            image_shape=self.image_shape,
            labelled=self.labelled,
            num_classes=self.num_classes,
            ids=self.ids[positions],
        )

    def sample(self, count):
        """The first `count` pictures."""
        batch = next(iter(self.batches(count, labels=False)))
        return batch[1].numpy()

    @functools.cached_property
    def fingerprint(self):
        """SHA-256 of the ids and the first pictures: 64 hex digits."""
        return _digest(self.ids, self.sample(_FINGERPRINT_SAMPLE))

    def batches(self, batch_size, *, labels, seed=None, epoch=None):
        """As `Examples.batches`, shuffled 10,000 at a time."""
        member = np.zeros(self.count, bool)
        member[self.ids] = True
        member = tf.constant(member)
        stream = self.open_stream().filter(lambda i, *rest: member[i])
        if self.labelled and not labels:
            stream = stream.map(lambda i, image, label: (i, image))
        if seed is None:
            return stream.batch(batch_size)

        # Not `shuffle`, whose order is in its state and its buffer.
        def reorder(ids, *rest):
            order = views.epoch_order(ids, seed=seed, epoch=epoch)
            return tuple(tf.gather(part, order) for part in (ids, *rest))

        stream = stream.batch(_SHUFFLE_WINDOW).map(reorder).unbatch()
        steps = -(-len(self) // batch_size)
        return stream.batch(-(-len(self) // steps))


def _digest(*arrays):
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


@dataclasses.dataclass
class Dataset:
    """Examples to train on and to test with.

    Attributes:
        name: str.
        train: `Examples` or `StreamedExamples`.
        test: the same, or None: a flat folder of pictures has no test set.
        source: str, where it was loaded from, for the log and the card.
        class_names: list of str, or None.
    """

    name: str
    train: Examples | StreamedExamples
    test: Examples | StreamedExamples | None
    source: str
    class_names: list | None = None


def join(parts):
    """Several sets as one, the classes of each after those before it.

    Args:
        parts: list of `Dataset`, in memory, with labels and test examples.

    Returns:
        `Dataset`, its name theirs with `+` between.

    Raises:
        ValueError: if one is streamed, lacks labels, class names or test
            examples, or has pictures of another size.
    """
    for part in parts:
        if not (
            isinstance(part.train, Examples) and part.class_names and part.test
        ):
            raise ValueError(
                "sets that are joined must be in memory (data.memory_limit_mb)"
                ", with labels and test examples. Received one that is not: "
                f"{part.name}"
            )
    shapes = {part.name: part.train.image_shape for part in parts}
    if len(set(shapes.values())) > 1:
        raise ValueError(
            "sets that are joined must have pictures of one size, or "
            f"data.image_size must be set. Received: {shapes}"
        )
    counts = [len(part.class_names) for part in parts]
    first_classes = np.cumsum([0, *counts])[:-1]

    def joined(split):
        examples = [getattr(part, split) for part in parts]
        labels = [x.labels + k for x, k in zip(examples, first_classes)]
        return Examples(
            np.concatenate([x.images for x in examples]),
            np.concatenate(labels),
            num_classes=sum(counts),
        )

    return Dataset(
        name="+".join(part.name for part in parts),
        train=joined("train"),
        test=joined("test"),
        source="; ".join(f"{part.name}: {part.source}" for part in parts),
        class_names=[name for part in parts for name in part.class_names],
    )

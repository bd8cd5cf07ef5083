"""Readers of images by id, from memory or from encoded files and records."""

import abc
import functools

import numpy as np
import tensorflow as tf

from kd_keras.data import decoding
from kd_keras.models import image_spec as image_specs
from kd_keras.utils import digests

# Images that the fingerprint of version 0.1 was computed from.
_FINGERPRINT_SAMPLE = 256


class Reader(abc.ABC):
    """Images that are read by id, in any order.

    Attributes:
        ids: int64 array `(n,)`, the ids of all images.
        image_shape: `(height, width, channels)` of the images that are read.
        image_spec: `ImageSpec` of them.
        parallel_batches: int, how many batches a pipeline may read at once.
    """

    parallel_batches = tf.data.AUTOTUNE

    @abc.abstractmethod
    def read(self, ids, crop=None):
        """Reads a batch, eagerly or in a graph of tf.data.

        Args:
            ids: int64 tensor `(batch,)`.
            crop: None for whole images, or a function of `(ids, heights,
                widths)`, tensors `(n,)`, that returns the parts to read: int32
                `(n, 4)` of top, left, height and width in pixels of the
                original image. They are resized to `image_shape`.

        Returns:
            Tensor `(batch, height, width, channels)`.
        """

    def array(self, ids):
        """Reads images into an array; images in memory are not cast."""
        return self.read(ids).numpy()

    @abc.abstractmethod
    def record(self, ids):
        """Digests that identify some images, for a store: dict.

        Its last value is the SHA-256 of all of them.

        Args:
            ids: int64 array `(n,)`.
        """


class ArrayReader(Reader):
    """Images in memory.

    Args:
        images: array `(n, height, width[, channels])`: integers from 0 to
            255, or finite numbers of any other range, which are used as
            float32.
        image_spec: `ImageSpec` of the set that the images are a part of; by
            default it is measured on the images.
        ids: int64 array `(n,)` without repetitions; by default 0 to n - 1.
        original: `Reader` that parts of images are read from, if the array
            holds resized images; by default parts of the array are resized.

    Raises:
        ValueError: if there are no images, or one is not finite.
    """

    def __init__(self, images, image_spec=None, *, ids=None, original=None):
        self._images = image_specs.as_array(images)
        self.image_spec = image_spec or image_specs.measure(self._images)
        self.image_shape = self._images.shape[1:]
        self.ids = np.arange(len(self._images), dtype="int64")
        self.original = original
        self._order = None
        if ids is not None and not np.array_equal(ids, self.ids):
            self.ids = np.asarray(ids, "int64")
            self._order = np.argsort(self.ids)

    def read(self, ids, crop=None):
        if crop is not None and self.original is not None:
            return self.original.read(ids, crop)
        images = tf.gather(self._tensor, self._rows(ids))
        if crop is None:
            return images
        size = tf.ones_like(ids, tf.int32)
        height, width, _ = self.image_shape
        return decoding.resized_parts(
            images, crop(ids, height * size, width * size)
        )

    def array(self, ids):
        if ids is self.ids:
            return self._images
        return self._images[np.asarray(self._rows(ids))]

    def record(self, ids):
        return {"fingerprint": digests.sha256_of_arrays(ids, self.array(ids))}

    def _rows(self, ids):
        """The rows of images in the array: an integer tensor or array."""
        if self._order is None:
            return ids
        places = tf.searchsorted(self.ids[self._order], ids)
        return tf.gather(self._order, places)

    @functools.cached_property
    def _tensor(self):
        # Eager, also while a pipeline is traced: constants of its graph would
        # be copied and searched each time.
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(self.image_spec.cast(self._images))


class EncodedReader(Reader):
    """Images that are decoded whenever they are read.

    A subclass reads the encoded images, for example whole files.

    Args:
        count: int, the number of images. Their ids are 0 to `count - 1`.
        decode: `decoding.Decoding`.
    """

    image_spec = image_specs.UINT8
    # Two, so that one is decoded while the last images of the other are.
    parallel_batches = 2

    def __init__(self, count, decode):
        self.ids = np.arange(count, dtype="int64")
        self.decode = decode
        self.image_shape = decode.shape

    @abc.abstractmethod
    def encoded(self, ids):
        """Reads encoded images: string tensor `(n,)` for int64 `(n,)`."""

    @abc.abstractmethod
    def name(self, example_id):
        """Names the source of an image for messages: str, such as a path."""

    @abc.abstractmethod
    def contents_digest(self, ids):
        """SHA-256 of the files or records of some images: 64 hex digits."""

    def read(self, ids, crop=None):
        return self.decode.read(
            self.encoded(ids), ids, name=self.name, crop=crop
        )

    def record(self, ids):
        chosen = digests.sha256_of_arrays(ids)
        contents = self.contents_digest(ids)
        first = ids[:_FINGERPRINT_SAMPLE]
        return {
            # As in version 0.1, for its stores: all ids, the first images.
            "fingerprint": digests.sha256_of_arrays(
                ids, self.read(first).numpy()
            ),
            "contents": digests.sha256_of_text(
                f"{self.decode.key} {chosen} {contents}"
            ),
        }


class _JoinedReader(Reader):
    """Images of several readers, with new ids from 0 on.

    Args:
        parts: list of `(reader, ids)`, the images to take from each reader.
    """

    def __init__(self, parts):
        self._readers = [reader for reader, _ in parts]
        self._ids = [ids for _, ids in parts]
        self._starts = np.cumsum([0, *map(len, self._ids)])
        self.ids = np.arange(self._starts[-1], dtype="int64")
        self.image_shape = self._readers[0].image_shape
        self.image_spec = self._readers[0].image_spec
        self.parallel_batches = max(x.parallel_batches for x in self._readers)

    def read(self, ids, crop=None):
        part = tf.searchsorted(self._starts[1:], ids, side="right")
        count = len(self._readers)
        split = tf.dynamic_partition(ids, part, count)
        places = tf.dynamic_partition(tf.range(tf.size(ids)), part, count)
        read = [self._read_part(k, split[k], crop) for k in range(count)]
        return tf.dynamic_stitch(places, read)

    def _read_part(self, number, ids, crop):
        reader, start = self._readers[number], self._starts[number]
        own = tf.gather(self._ids[number], ids - start)
        if crop is None:
            return reader.read(own)
        order = np.argsort(self._ids[number])

        def part(own, *sizes):
            places = tf.searchsorted(self._ids[number][order], own)
            return crop(tf.gather(order, places) + start, *sizes)

        return reader.read(own, part)

    def record(self, ids):
        part = np.searchsorted(self._starts[1:], ids, side="right")
        records = [
            reader.record(own[ids[part == k] - self._starts[k]])
            for k, (reader, own) in enumerate(zip(self._readers, self._ids))
        ]
        text = f"{digests.sha256_of_arrays(ids)} {records}"
        return {"fingerprint": digests.sha256_of_text(text)}


def join(parts):
    """Joins images of several readers into one reader with new ids.

    Args:
        parts: list of `(reader, ids)`, the images to take from each reader.

    Returns:
        `Reader`, in memory if all of them are.
    """
    if not all(type(reader) is ArrayReader for reader, _ in parts):
        return _JoinedReader(parts)
    original = None
    if any(reader.original for reader, _ in parts):
        originals = [(reader.original or reader, ids) for reader, ids in parts]
        original = _JoinedReader(originals)
    arrays = [reader.array(ids) for reader, ids in parts]
    return ArrayReader(np.concatenate(arrays), original=original)


def in_memory(reader, ids):
    """Reads images into memory: an `ArrayReader` of the images `ids`."""
    batches = [
        reader.read(ids[start : start + 1000]).numpy()
        for start in range(0, len(ids), 1000)
    ]
    return ArrayReader(
        np.concatenate(batches), reader.image_spec, ids=ids, original=reader
    )

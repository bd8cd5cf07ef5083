"""Readers of images by id, from memory or from encoded files and records."""

import abc
import functools

import numpy as np
import tensorflow as tf

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
        """Reads images into an array, as `read`; those in memory uncast."""
        return self.read(ids).numpy()

    @abc.abstractmethod
    def record(self, ids):
        """What identifies some images, for a store: dict of digests.

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

    Raises:
        ValueError: if there are no images, or one is not finite.
    """

    def __init__(self, images, image_spec=None, ids=None):
        self._images = image_specs.as_array(images)
        self.image_spec = image_spec or image_specs.measure(self._images)
        self.image_shape = self._images.shape[1:]
        self.ids = np.arange(len(self._images), dtype="int64")
        self._order = None
        if ids is not None and not np.array_equal(ids, self.ids):
            self.ids = np.asarray(ids, "int64")
            self._order = np.argsort(self.ids)

    def read(self, ids, crop=None):
        images = tf.gather(self._tensor, self._rows(ids))
        if crop is None:
            return images
        raise NotImplementedError

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
        decode: function of `(encoded, crop)`, a scalar string tensor and None
            or a function of `(height, width)`, int32 scalars, that returns
            int32 `(4,)`: see `Reader.read`. Returns a uint8 tensor
            `decode.shape`. `decode.key` is a str of all that the pixels
            depend on.
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
        """Where an image is read from, for messages: str, such as a path."""

    @abc.abstractmethod
    def contents_digest(self, ids):
        """SHA-256 of what some images are read from: 64 hex digits."""

    def read(self, ids, crop=None):
        def read_one(example_id, encoded):
            part = None if crop is None else _crop_of_one(crop, example_id)
            return self.decode(encoded, part)

        return _in_parallel(read_one, (ids, self.encoded(ids)))

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


def in_memory(reader, ids):
    """Reads images into memory: an `ArrayReader`."""
    batches = [
        reader.read(ids[start : start + 1000]).numpy()
        for start in range(0, len(ids), 1000)
    ]
    return ArrayReader(np.concatenate(batches), reader.image_spec)


def _crop_of_one(crop, example_id):
    def part(height, width):
        return crop(example_id[tf.newaxis], height[None], width[None])[0]

    return part


def _in_parallel(function, parts):
    """Calls a function on each element of a batch; stacks what it returns."""
    dataset = tf.data.Dataset.from_tensor_slices(parts)
    dataset = dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.batch(tf.shape(parts[0], tf.int64)[0])
    options = tf.data.Options()
    # Its wake-ups delay the end of a dataset: see `pipeline`.
    options.autotune.enabled = False
    return dataset.with_options(options).get_single_element()

"""Decodes, crops and resizes image files inside tf.data."""

import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf

from kd_keras.data import pixels as pixels_lib
from kd_keras.data import python_ops
from kd_keras.utils import threads

# Alignment of tensors in memory, in bytes.
_ALIGNMENT = 64
# Least pixels of an image for which several threads are faster than one
# (`benchmarks/small_images.py`).
PARALLEL_PIXELS = 56 * 56


@dataclasses.dataclass(frozen=True)
class Decoding:
    """Settings that turn encoded images into arrays of one shape.

    Called with a string tensor, it decodes one image; `read` decodes a batch
    in parallel. Images are turned upright by their EXIF data. Images of 16
    bits a channel keep the upper eight. An animation gives its first frame.

    Attributes:
        shape: `(height, width, channels)`; 1 channel for grey or 3 for
            colour.
        resize: str, how an image of another size is fitted: `crop` cuts off
            the ends of the longer side, `pad` fills up with the background,
            `squash` changes the aspect ratio. None refuses such an image.
        antialias: bool. False resizes by `tf.image.resize`, bilinear, which
            leaves out pixels.
        background: three ints from 0 to 255, the colour under transparent
            pixels and beside padded images.
        fast: bool, whether JPEG files of twice the wanted size or more are
            decoded at a half, quarter or eighth of it, and colours are
            upsampled without a filter.
    """

    shape: tuple
    resize: str | None = None
    antialias: bool = True
    background: tuple = pixels_lib.WHITE
    fast: bool = False

    @property
    def key(self):
        """All settings that the pixels depend on: str."""
        if self == Decoding(self.shape):
            # The key of version 0.1, so that its stores stay valid.
            return str(self.shape)
        return str(self)

    def __call__(self, encoded, crop=None):
        """Decodes one image.

        Args:
            encoded: string tensor, the contents of a file.
            crop: None for the whole image, fitted by `resize`; or a function
                of its height and width, int32 scalars, that returns int32
                `(4,)`: top, left, height and width of the part to resize.

        Returns:
            uint8 tensor of `shape`.

        Raises:
            ValueError, tf.errors.InvalidArgumentError: as `read`.
        """

        def crops(ids, heights, widths):
            return tf.expand_dims(crop(heights[0], widths[0]), axis=0)

        images = self.read(
            tf.expand_dims(encoded, axis=0),
            tf.zeros(1, tf.int64),
            name=lambda _: "an image",
            crop=crops if crop else None,
        )
        return images[0]

    def read(self, encoded, ids, *, name, crop=None):
        """Decodes a batch, in several threads.

        Args:
            encoded: string tensor `(n,)`, the contents of files.
            ids: int64 tensor `(n,)`, of the examples.
            name: function of an id (int) that returns the name of its file
                (str), for errors.
            crop: None; or a function of ids, heights and widths, all `(n,)`,
                that returns int32 `(n, 4)`, as in `__call__`.

        Returns:
            uint8 tensor `(n, *shape)`.

        Raises:
            ValueError: if an image cannot be decoded, with its name.
            tf.errors.InvalidArgumentError: the same in a pipeline.
        """
        inputs = [encoded, ids]
        if crop is not None:
            sizes = python_ops.numpy_function(
                functools.partial(_sizes, name=name),
                inputs,
                tf.int32,
                stateful=False,
            )
            sizes.set_shape((encoded.shape[0], 2))
            inputs.append(crop(ids, sizes[:, 0], sizes[:, 1]))
        images = python_ops.numpy_function(
            functools.partial(self._decode_batch, name=name),
            inputs,
            tf.uint8,
            stateful=False,
        )
        images.set_shape((encoded.shape[0], *self.shape))
        return images

    def decode(self, contents, name, box=None):
        """Decodes one image in this thread.

        Args:
            contents: bytes of the file.
            name: str, its name for errors.
            box: None, or ints: top, left, height, width of the part to
                resize, in the upright image.

        Returns:
            uint8 array of `shape`.

        Raises:
            ValueError: if the image cannot be decoded.
        """
        pixels, size = pixels_lib.decode(
            contents,
            name,
            channels=self.shape[-1],
            background=self.background,
            least_scale=(
                functools.partial(self._least_scale, box) if self.fast else None
            ),
        )
        fitted = self._fit(pixels, size, box, name)
        # The pixels may lie in memory that this thread uses again.
        return fitted.copy() if np.may_share_memory(fitted, pixels) else fitted

    def _least_scale(self, box, height, width):
        """The least scale at which no pixel of the part must be enlarged."""
        *_, high, wide = self._box((height, width), box)
        fitted = min if box is None and self.resize == "pad" else max
        return fitted(self.shape[0] / high, self.shape[1] / wide)

    def _box(self, size, box):
        """The part of an image that is shown, from the size of the image."""
        if box is not None:
            return tuple(box)
        if self.resize == "crop":
            return pixels_lib.centre_box(size, self.shape[:2])
        return (0, 0, *size)

    def _fit(self, pixels, size, box, name):
        """Resizes a part of an image that may be decoded at a smaller size."""
        if self.resize is None and box is None and size != self.shape[:2]:
            raise ValueError(
                "images must have one size, or data.image_size must be set. "
                f"Received: {size[0]} x {size[1]} in {name}, others "
                f"{self.shape[0]} x {self.shape[1]}"
            )
        scales = [n / m for n, m in zip(pixels.shape, size)]
        shown = self._box(size, box)
        shown = [round(side * scales[i % 2]) for i, side in enumerate(shown)]
        pixels = pixels_lib.part(pixels, shown)
        wanted = self.shape[:2]
        if box is None and self.resize == "pad":
            scale = min(m / n for m, n in zip(wanted, pixels.shape))
            inner = [
                min(max(round(n * scale), 1), m)
                for n, m in zip(pixels.shape, wanted)
            ]
            resized = self._resize(pixels, inner)
            return pixels_lib.pad(resized, wanted, self.background)
        return self._resize(pixels, wanted)

    def _resize(self, pixels, size):
        if self.antialias or pixels.shape[:2] == tuple(size):
            return pixels_lib.resize(pixels, size)
        # Eager operations of a thread would go to a GPU.
        with tf.device("CPU:0"):
            resized = tf.image.resize(np.ascontiguousarray(pixels), size)
            return tf.saturate_cast(tf.round(resized), tf.uint8).numpy()

    def _decode_batch(self, encoded, ids, boxes=None, *, name):
        images = _aligned((len(encoded), *self.shape))

        def decode(i):
            box = None if boxes is None else boxes[i].tolist()
            images[i] = self.decode(encoded[i], name(int(ids[i])), box)

        pixels = math.prod(self.shape[:2])
        threads.for_each(
            decode,
            len(encoded),
            # Files of images that are resized may have any size.
            parallel=self.resize is not None or pixels >= PARALLEL_PIXELS,
        )
        return images


def _aligned(shape):
    """A new uint8 array that TensorFlow takes without copying it."""
    size = int(np.prod(shape))
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].reshape(shape)


def shape_of(fields, shape):
    """The shape of images after the resizing that `config.data` sets.

    Args:
        fields: `config.data`.
        shape: `(height, width, channels)` of the original images.
    """
    height = fields.image_size
    if not height:
        return tuple(shape)
    return height, fields.image_width or height, shape[-1]


def of(fields, shape):
    """The `Decoding` to a shape, with the settings of `config.data`."""
    return Decoding(
        shape=tuple(shape),
        resize=fields.resize if fields.image_size else None,
        antialias=fields.antialias,
        background=tuple(fields.background),
        fast=fields.decoding == "fast",
    )


def resized_parts(images, boxes):
    """Enlarges a part of each image to the size of the image.

    Args:
        images: uint8 tensor `(n, height, width, channels)`.
        boxes: int32 tensor `(n, 4)`: top, left, height and width in pixels.

    Returns:
        uint8 tensor of the shape of `images`.
    """

    def resize(images, boxes):
        resized = np.empty_like(images)

        def resize_one(i):
            part = pixels_lib.part(images[i], boxes[i].tolist())
            resized[i] = pixels_lib.resize(part, images.shape[1:3])

        pixels = math.prod(images.shape[1:3])
        threads.for_each(
            resize_one, len(images), parallel=pixels >= PARALLEL_PIXELS
        )
        return resized

    resized = python_ops.numpy_function(
        resize, [images, boxes], tf.uint8, stateful=False
    )
    resized.set_shape(images.shape)
    return resized


def _sizes(encoded, ids, *, name):
    """Heights and widths of a batch: int32 array `(n, 2)`."""
    sizes = np.empty((len(encoded), 2), np.int32)

    def read(i):
        sizes[i] = pixels_lib.size_of(encoded[i], name(int(ids[i])))

    for i in range(len(encoded)):
        read(i)
    return sizes

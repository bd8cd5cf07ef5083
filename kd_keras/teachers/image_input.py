"""The input of a model of another runtime: layout, type and size of batches."""

import dataclasses

import numpy as np

from kd_keras.models import image_spec
from kd_keras.teachers import kind

DTYPES = ("float32", "float16", "float64", "uint8")
# Bytes of the images of a call: a network's layers then fit into caches, which
# is faster, and batches of any size into memory.
_BYTES_OF_A_CALL = 2**22
# Channels of grey images, of photos, and of photos with transparency.
_CHANNELS = (1, 3, 4)


@dataclasses.dataclass(frozen=True)
class ImageInput:
    """Type and layout of the images that a model takes.

    Attributes:
        dtype: str, one of `DTYPES`.
        image_shape: `(height, width, channels)`, None for any or an unknown
            size.
        channels_first: bool, whether the model takes
            `(batch, channels, height, width)`.
        batch_size: int, the only one that the model takes; None for any.
    """

    dtype: str = "float32"
    image_shape: tuple = (None, None, None)
    channels_first: bool = True
    batch_size: int | None = None

    @property
    def image_spec(self):
        """The `ImageSpec` that the type implies; None if it is unknown."""
        return image_spec.UINT8 if self.dtype == "uint8" else None

    def convert(self, images):
        """Converts images to the form that the model takes; copies if needed.

        Args:
            images: array `(batch, height, width, channels)` of numbers.
        """
        if self.dtype == "uint8" and images.dtype != np.uint8:
            images = image_spec.to_dtype(images, self.dtype)
        if self.channels_first:
            images = images.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(images, self.dtype)

    def run(self, function, images):
        """Calls a model with batches of the size that it takes, or small ones.

        Args:
            function: function of an array, as `convert` makes it, -> list of
                arrays `(batch, ...)`.
            images: array `(batch, height, width, channels)`, not empty.

        Returns:
            list of arrays, of as many examples as there are images.
        """
        images = self.convert(images)
        size = self.batch_size or max(1, _BYTES_OF_A_CALL // images[:1].nbytes)
        parts = []
        for start in range(0, len(images), size):
            part = images[start : start + size]
            count = len(part)
            if self.batch_size and count < size:
                padding = np.repeat(part[-1:], size - count, axis=0)
                part = np.concatenate([part, padding])
            parts.append([result[:count] for result in function(part)])
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(results) for results in zip(*parts)]


def of_shape(shape, dtype, path):
    """The `ImageInput` of a model whose input has some shape.

    Args:
        shape: sequence of four ints, None for any size: of
            `(batch, channels, height, width)` or
            `(batch, height, width, channels)`.
        dtype: str.
        path: str or path of the model, for errors.

    Raises:
        ValueError: if it is no shape of images, its channels may be first or
            last, or the type is none of `DTYPES`.
    """
    if dtype not in DTYPES:
        raise kind.Unusable(
            f"a model of images must take one of {', '.join(DTYPES)}. "
            f"Received: {path}, which takes {dtype}"
        )
    if len(shape) != 4:
        raise kind.Unusable(
            "a model must take images (batch, channels, height, width) or "
            f"(batch, height, width, channels). Received: {path}, which takes "
            f"{_text(shape)}"
        )
    batch_size, *sizes = shape
    channels_first = _has_channels_first(sizes)
    if channels_first is None:
        raise kind.Unusable(
            "the shape of a model's input must tell its channels (1, 3 or 4), "
            "first or last, from its height and width. Received: "
            f"{path}, which takes {_text(shape)}; export it with a fixed "
            "number of channels, and of height and width if they are as small"
        )
    if channels_first:
        sizes = [*sizes[1:], sizes[0]]
    return ImageInput(dtype, tuple(sizes), channels_first, batch_size)


def _has_channels_first(sizes):
    first, middle, last = sizes
    if (first in _CHANNELS) != (last in _CHANNELS):
        return first in _CHANNELS
    # Squares of another number of channels.
    if first == middle != last is not None:
        return False
    if first != middle == last and first is not None:
        return True
    return None


def _text(shape):
    sizes = ["any" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)})"

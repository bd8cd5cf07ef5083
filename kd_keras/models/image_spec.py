"""The contract between images and models: type and range of the values.

A model fits the images that it was trained on: integers from 0 to 255, or
floats of some range. The range is measured once, where images come in, and
recorded with the model, so that other images are refused instead of rounded
or misread.
"""

import dataclasses

import numpy as np

# Usual ranges, the narrowest first. A set that uses a part of one, such as
# dark images, has this range; a little overshoot, as from resizing, is allowed.
_USUAL_RANGES = ((0, 1), (-1, 1), (0, 255), (0, 65_535))
_OVERSHOOT = 0.1
# Other ranges have the same scaling if the ratio of their widths, and the
# distance of their ends as a share of the width, are at most these.
_LARGEST_RATIO = 8
_LARGEST_SHIFT = 0.4
# Channels of a photo, with transparency.
_MOST_CHANNELS = 4
_LARGEST = float(np.finfo("float32").max)
_SIZES = "; images of several sizes must be resized first"


@dataclasses.dataclass(frozen=True)
class ImageSpec:
    """Type and range of the images in a set, or of images that a model takes.

    Attributes:
        dtype: `uint8` for integers from 0 to 255; `float32` for all others.
        low, high: floats, the smallest and the largest value; always 0 and
            255 for `uint8`.
    """

    dtype: str
    low: float
    high: float

    def __str__(self):
        return f"{self.dtype} from {self.low:.3g} to {self.high:.3g}"

    @property
    def usual_range(self):
        """The narrowest usual range that holds the values, or None."""
        width = self.high - self.low
        for low, high in _USUAL_RANGES:
            margin = _OVERSHOOT * min(width, high - low)
            if low - margin <= self.low and self.high <= high + margin:
                return low, high
        return None

    @property
    def scale(self):
        """`(low, high)`: the usual range, or else the range of the values."""
        return self.usual_range or (self.low, self.high)

    def cast(self, images):
        """Converts an array of such images to `dtype`."""
        return images.astype(self.dtype, copy=False)

    def record(self):
        """The JSON values that `from_record` reads."""
        return dataclasses.asdict(self)


UINT8 = ImageSpec("uint8", 0.0, 255.0)


def measure(images):
    """The `ImageSpec` of an array of images.

    Args:
        images: array of any shape, of numbers or bool.

    Raises:
        ValueError: if the values are no finite numbers.
    """
    kind = images.dtype.kind
    if images.dtype in (np.uint8, np.bool_):
        return UINT8
    if kind not in "iuf":
        raise ValueError(
            "images must be numbers, in one array. Received: an array of "
            f"{images.dtype}" + (_SIZES if kind == "O" else "")
        )
    low, high = float(images.min()), float(images.max())
    # With a NaN, the minimum and the maximum are NaN.
    if not max(abs(low), abs(high)) <= _LARGEST:
        raise ValueError(_not_finite(images))
    if kind in "iu" and low >= 0 and high <= 255:
        return UINT8
    return ImageSpec("float32", low, high)


def from_record(record):
    """The `ImageSpec` of a record; None if it has none."""
    try:
        spec = ImageSpec(
            str(record["dtype"]), float(record["low"]), float(record["high"])
        )
    except (KeyError, TypeError, ValueError):
        return None
    return spec if spec.dtype in ("uint8", "float32") else None


def check_same(expected, received, *, model, images="the images"):
    """Raises a ValueError if images have another scaling than a model's.

    Args:
        expected: `ImageSpec` of the model, or None if it is unknown.
        received: `ImageSpec` of the images, or None.
        model: str, for the message, such as a path.
        images: str, for the message.
    """
    if expected and received and not same_scaling(expected, received):
        raise ValueError(
            f"{images} must have the range of values that {model} takes: "
            f"{expected}. Received: {received}; scale them in the same way"
        )


def same_scaling(one, other):
    """Whether images of two `ImageSpec` are scaled in the same way."""
    if one.usual_range and one.usual_range == other.usual_range:
        return True
    widths = one.high - one.low, other.high - other.low
    widest = max(widths)
    if widest > _LARGEST_RATIO * min(widths):
        return False
    shift = abs(one.low - other.low)
    if bool(one.usual_range) != bool(other.usual_range):
        # Standardised images and others may have ends close to each other.
        shift += abs(one.high - other.high)
    return shift <= _LARGEST_SHIFT * widest


def as_array(images):
    """Converts images to an array `(n, height, width, channels)`.

    Args:
        images: array or list of images, `(n, height, width[, channels])`.

    Raises:
        ValueError: if they are of another shape, or of several shapes.
    """
    what = "images must be a non-empty array (n, height, width, channels)"
    try:
        images = np.asarray(images)
    except ValueError as error:
        raise ValueError(
            f"{what}{_SIZES}. Received: {type(images).__name__} ({error})"
        ) from error
    if images.ndim == 3 and images.shape[-1] in (1, 3, 4):
        raise ValueError(
            f"{what}. Received: shape {images.shape}, which looks like a "
            "single image: images[np.newaxis] is an array of one"
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or not images.size:
        raise ValueError(f"{what}. Received: shape {images.shape}")
    _, first, second, last = images.shape
    is_square = second == last > _MOST_CHANNELS
    is_wide = first > 1 and min(second, last) > 4 * _MOST_CHANNELS
    if first in (1, 3, _MOST_CHANNELS) and (is_square or is_wide):
        raise ValueError(
            f"{what}. Received: shape {images.shape}, which looks like "
            "channels first: images.transpose(0, 2, 3, 1) puts them last"
        )
    return images


def for_display(images, spec):
    """Converts images to grey or colour images that can be shown.

    Args:
        images: array `(n, height, width, channels)`.
        spec: their `ImageSpec`.

    Returns:
        uint8 array with 1 or 3 channels. Further channels, such as
        transparency, are left out.
    """
    channels = images.shape[-1]
    images = images[..., : 3 if channels > 2 else 1]
    if spec.dtype == "uint8":
        return spec.cast(images)
    low, high = spec.scale
    share = (images.astype("float32") - low) / max(high - low, 1e-30)
    return np.round(255 * np.clip(share, 0, 1)).astype("uint8")


def to_dtype(images, dtype):
    """Converts an array; floats are rounded and clipped to integers."""
    if images.dtype.kind != "f" or np.dtype(dtype).kind == "f":
        return images.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.round(images), limits.min, limits.max).astype(dtype)


def _not_finite(images):
    bad = ~(np.abs(images) <= _LARGEST)
    where = np.flatnonzero(bad.reshape(len(images), -1).any(axis=1))
    return (
        "images must be finite, within float32. Received: "
        f"{np.count_nonzero(bad):,} values that are not, in {len(where):,} of "
        f"{len(images):,} images, the first at index {where[0]}"
    )

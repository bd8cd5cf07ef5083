"""The operations of RandAugment and TrivialAugment, and their ranges.

Each image of a batch gets another operation: the images are grouped by
operation, so that each operation runs once for all of its images.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kd_keras.data.augmentation import affine, checks, enhance

# The operations, in the order of the papers. The position of each one in this
# list is what is drawn: it decides which views a store's logits belong to.
OPERATIONS = (
    "identity",
    "autocontrast",
    "equalize",
    "rotate",
    "solarize",
    "colour",
    "posterize",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
# Magnitudes are whole numbers from 0 to this one.
MOST = 30
_ENHANCE = {
    "autocontrast": enhance.autocontrast,
    "equalize": enhance.equalize,
    "solarize": enhance.solarize,
    "posterize": enhance.posterize,
    "colour": enhance.colour,
    "contrast": enhance.contrast,
    "brightness": enhance.brightness,
    "sharpness": enhance.sharpness,
}
_BLENDS = ("colour", "contrast", "brightness", "sharpness")


@dataclasses.dataclass(frozen=True)
class Space:
    """The ranges of the operations.

    Attributes:
        amount: function of an operation's name, a share in [0, 1] of its
            range, a sign (1 or -1) and the images' `(height, width)` ->
            float: degrees, pixels, the slope of a shear, a threshold, bits,
            or the factor of a blend.
        fill: int, the value of pixels from outside of the image.
    """

    amount: Callable
    fill: int


def _rand_augment(name, share, sign, size):
    """The ranges of AutoAugment's table 6, from its middle to its ends."""
    if name in _BLENDS:
        return 1 + sign * 0.9 * share
    height, width = size
    # The table's shifts are of images of 331 pixels.
    most = {
        "rotate": 30,
        "shear_x": 0.3,
        "shear_y": 0.3,
        "translate_x": 150 / 331 * width,
        "translate_y": 150 / 331 * height,
        "posterize": 4,
        "solarize": 256,
    }
    return _geometry(name, share * most.get(name, 0), sign)


def _wide(name, share, sign, size):
    """The space "wide" of TrivialAugment's table 1."""
    if name in _BLENDS:
        return 0.01 + 1.99 * share
    most = {
        "rotate": 135,
        "shear_x": 0.99,
        "shear_y": 0.99,
        "translate_x": 32,
        "translate_y": 32,
        "posterize": 6,
        "solarize": 256,
    }
    return _geometry(name, share * most.get(name, 0), sign)


def _geometry(name, amount, sign):
    if name.startswith("shear"):
        return sign * amount
    # Whole degrees, pixels, levels and bits, cut as in the papers' code. What
    # is added repairs a quotient that float64 puts below a whole number.
    amount = int(amount + 1e-9)
    if name == "solarize":
        return 256 - amount
    if name == "posterize":
        return 8 - amount
    return sign * amount


# The authors of RandAugment fill with grey, those of TrivialAugment with black.
RAND_AUGMENT = Space(_rand_augment, fill=128)
WIDE = Space(_wide, fill=0)


def apply(images, *, operation, magnitude, negative, space):
    """Applies one operation to each image of a batch.

    Args:
        images: uint8 tensor `(batch, height, width, channels)` of 1 or 3
            channels.
        operation: int32 tensor `(batch,)`, positions in `OPERATIONS`.
        magnitude: int, or int32 tensor `(batch,)`, 0 to `MOST`.
        negative: int32 tensor `(batch,)`, 0, or 1 for the other direction.
        space: `Space`.

    Returns:
        uint8 tensor of the same shape.

    Reference:
        - [Cubuk et al., 2020](https://arxiv.org/abs/1909.13719)
        - [Mueller & Hutter, 2021](https://arxiv.org/abs/2103.10158)
    """
    kinds = _kinds(space.fill)
    magnitude = tf.broadcast_to(magnitude, tf.shape(operation))
    chosen = tf.gather_nd(
        _settings(space, tuple(images.shape[1:3])),
        tf.stack([operation, magnitude, negative], axis=-1),
    )
    positions = [list(kinds).index(_kind(name)) for name in OPERATIONS]
    kind = tf.gather(positions, operation)
    groups = tf.dynamic_partition(
        tf.range(tf.shape(images)[0]), kind, len(kinds)
    )
    changed = [
        tf.ensure_shape(
            function(tf.gather(images, group), tf.gather(chosen, group)),
            [None, *images.shape[1:]],
        )
        for function, group in zip(kinds.values(), groups)
    ]
    return tf.reshape(tf.dynamic_stitch(groups, changed), tf.shape(images))


def to_bytes(images):
    """Images from 0 to 255 as uint8; floats are rounded."""
    if not images.dtype.is_integer:
        images = tf.round(images)
    return tf.saturate_cast(images, tf.uint8)


def from_bytes(pixels, dtype):
    """uint8 images as the type that `to_bytes` received."""
    return tf.cast(pixels, dtype)


def check_images(image_shape, image_spec, **fields):
    """Raises a ValueError for images that the operations do not work with.

    Args:
        image_shape: `(height, width, channels)`.
        image_spec: `ImageSpec` of the images.
        **fields: of `ViewSpec`, the augmentation's first.
    """
    what = f"data.augment.{next(iter(fields))} changes colours"
    checks.require_range(image_spec, what)
    checks.require_channels(image_shape, (1, 3), what)


def _kind(name):
    """The name of the function that an operation calls."""
    return name if name in ("identity", *_ENHANCE) else "warp"


@functools.cache
def _kinds(fill):
    """Functions of `(images, settings)` by the name of their kind: dict."""

    def with_amount(function):
        return lambda images, settings: function(images, settings[:, 0])

    return {
        "identity": lambda images, settings: images,
        **{name: with_amount(x) for name, x in _ENHANCE.items()},
        "warp": functools.partial(affine.warp, fill=fill),
    }


@functools.cache
def _settings(space, size):
    """What each operation needs to know, computed by Python alone.

    TensorFlow's sines may differ in their last bit between machines.

    Returns:
        float64 array `(operations, MOST + 1, 2, 6)`: a matrix of
        `affine.fixed`, or an amount and zeros.
    """
    settings = np.zeros((len(OPERATIONS), MOST + 1, 2, 6))
    for i, name in enumerate(OPERATIONS):
        for magnitude in range(MOST + 1):
            for negative, sign in enumerate((1, -1)):
                amount = space.amount(name, magnitude / MOST, sign, size)
                settings[i, magnitude, negative] = _setting(name, amount, size)
    return settings


def _setting(name, amount, size):
    matrices = {
        "rotate": lambda: affine.rotation(amount, size),
        "shear_x": lambda: (1, amount, 0, 0, 1, 0),
        "shear_y": lambda: (1, 0, 0, amount, 1, 0),
        "translate_x": lambda: (1, 0, amount, 0, 1, 0),
        "translate_y": lambda: (1, 0, 0, 0, 1, amount),
    }
    if name in matrices:
        return affine.fixed(matrices[name]())
    return np.asarray([amount, 0, 0, 0, 0, 0], np.float64)

"""The operations of RandAugment and TrivialAugment, and their ranges.

Pillow computes them, one image at a time: the bits of a view are Pillow's.
Tests hold golden values, which Pillow 11.3 and 13.0 give. If they fail with
another release, the versions in `table` must be raised.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from kd_keras.data import python_ops
from kd_keras.data.augmentation import checks
from kd_keras.utils import threads

# Least pixels of an image for which several threads are faster than one
# (`benchmarks/small_images.py`).
PARALLEL_PIXELS = 150 * 150


def _of_image(function):
    """An operation without an amount."""
    return lambda image, amount, fill: function(image)


def _of_amount(function):
    """An operation that fills nothing."""
    return lambda image, amount, fill: function(image, amount)


def _blend(enhancer):
    """Blends an image with another one that the enhancer makes of it."""
    return lambda image, factor, fill: enhancer(image).enhance(factor)


def _rotate(image, degrees, fill):
    return image.rotate(degrees, fillcolor=fill)


def _affine(make_matrix):
    """Reads each pixel from the place that a matrix for the amount gives."""
    return lambda image, amount, fill: image.transform(
        image.size,
        Image.Transform.AFFINE,
        make_matrix(amount),
        fillcolor=fill,
    )


# In the order of the papers. A draw is a position in this table: it decides
# which views a store's logits belong to.
_FUNCTIONS = {
    "identity": _of_image(lambda image: image),
    "autocontrast": _of_image(ImageOps.autocontrast),
    "equalize": _of_image(ImageOps.equalize),
    "rotate": _rotate,
    "solarize": _of_amount(ImageOps.solarize),
    "colour": _blend(ImageEnhance.Color),
    "posterize": _of_amount(ImageOps.posterize),
    "contrast": _blend(ImageEnhance.Contrast),
    "brightness": _blend(ImageEnhance.Brightness),
    "sharpness": _blend(ImageEnhance.Sharpness),
    "shear_x": _affine(lambda slope: (1, slope, 0, 0, 1, 0)),
    "shear_y": _affine(lambda slope: (1, 0, 0, slope, 1, 0)),
    "translate_x": _affine(lambda pixels: (1, 0, pixels, 0, 1, 0)),
    "translate_y": _affine(lambda pixels: (1, 0, 0, 0, 1, pixels)),
}
OPERATIONS = tuple(_FUNCTIONS)
_BLENDS = ("colour", "contrast", "brightness", "sharpness")
# Magnitudes are whole numbers from 0 to this one.
MOST = 30


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
    # Whole degrees, pixels, levels and bits, cut as in the papers' code. Adding
    # 1e-9 repairs a quotient that float64 puts below a whole number.
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
    """Applies operations to each image of a batch, one after the other.

    Args:
        images: uint8 tensor `(batch, height, width, channels)` of 1 or 3
            channels.
        operation: int32 tensor `(batch, steps)`, positions in `OPERATIONS`.
        magnitude: int, or int32 tensor `(batch, steps)`, 0 to `MOST`.
        negative: int32 tensor `(batch, steps)`, 0, or 1 for the other
            direction.
        space: `Space`.

    Returns:
        uint8 tensor of the same shape.

    Reference:
        - [Cubuk et al., 2020](https://arxiv.org/abs/1909.13719)
        - [Mueller & Hutter, 2021](https://arxiv.org/abs/2103.10158)
        - [Pillow](https://pillow.readthedocs.io/en/stable/reference/)
    """
    magnitude = tf.broadcast_to(magnitude, tf.shape(operation))
    steps = tf.stack([operation, magnitude, negative], axis=-1)
    views = python_ops.numpy_function(
        functools.partial(_apply, space=space),
        [images, steps],
        tf.uint8,
        stateful=False,
    )
    return tf.ensure_shape(views, images.shape)


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


def _apply(images, steps, *, space):
    """`apply` to arrays; `steps` is `(batch, steps, 3)`."""
    views = np.empty_like(images)

    def apply_to_one(i):
        views[i] = _view(images[i], steps[i].tolist(), space)

    pixels = math.prod(images.shape[1:3])
    threads.for_each(
        apply_to_one, len(images), parallel=pixels >= PARALLEL_PIXELS
    )
    return views


def _view(pixels, steps, space):
    """One view: uint8 array of the shape of `pixels`."""
    if all(OPERATIONS[operation] == "identity" for operation, *_ in steps):
        return pixels
    height, width, channels = pixels.shape
    # Pillow's grey images have no axis of channels.
    grey = channels == 1
    image = Image.fromarray(pixels[..., 0] if grey else pixels)
    fill = space.fill if grey else (space.fill,) * channels
    for operation, magnitude, negative in steps:
        name, sign = OPERATIONS[operation], -1 if negative else 1
        amount = space.amount(name, magnitude / MOST, sign, (height, width))
        image = _FUNCTIONS[name](image, amount, fill)
    return np.asarray(image).reshape(pixels.shape)

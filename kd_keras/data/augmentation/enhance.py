"""Changes the values of pixels as Pillow does, for whole batches.

Each function equals Pillow's of the same purpose bit for bit, for images of
one channel (mode `L`) and of three (`RGB`). All arithmetic is of whole
numbers, or in float32 with a fixed order, so that a view has the same bytes on
every machine.

Reference:
    - `ImageOps` and `ImageEnhance` of [Pillow](
      https://pillow.readthedocs.io/en/stable/reference/ImageEnhance.html)
"""

import numpy as np
import tensorflow as tf

# Weights of red, green and blue in the brightness of ITU-R 601, in 65536ths.
_RED, _GREEN, _BLUE = 19595.0, 38470.0, 7471.0
# Pillow's filter SMOOTH: this kernel over 13.
_SMOOTH = ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 1.0))


def autocontrast(images, _):
    """Stretches each channel to the range 0 to 255.

    Args:
        images: uint8 tensor `(batch, height, width, channels)`.

    Returns:
        uint8 tensor of the same shape; a channel of one value stays.
    """
    positions = _positions(images)
    values = tf.range(256, dtype=tf.float64)
    present = _histograms(images, positions) > 0
    low = tf.reduce_min(tf.where(present, values, 255.0), -1, keepdims=True)
    high = tf.reduce_max(tf.where(present, values, 0.0), -1, keepdims=True)
    scale = tf.math.divide_no_nan(tf.constant(255.0, tf.float64), high - low)
    # In Pillow's order: another one would round to other values.
    stretched = tf.clip_by_value(values * scale + -low * scale, 0.0, 255.0)
    tables = tf.where(high > low, stretched, values)
    return _look_up(tables, positions, images)


def equalize(images, _):
    """Makes the histogram of each channel as even as possible.

    Args:
        images: uint8 tensor `(batch, height, width, channels)`.

    Returns:
        uint8 tensor of the same shape.
    """
    positions = _positions(images)
    counts = _histograms(images, positions)
    values = tf.range(256)
    last = tf.reduce_max(tf.where(counts > 0, values, 0), -1, keepdims=True)
    rest = tf.reduce_sum(tf.where(values < last, counts, 0), -1, keepdims=True)
    step = rest // 255
    below = tf.cumsum(counts, axis=-1, exclusive=True)
    even = (step // 2 + below) // tf.maximum(step, 1)
    # Too few pixels for a step: the channel stays.
    tables = tf.where(step > 0, tf.minimum(even, 255), values)
    return _look_up(tables, positions, images)


def solarize(images, threshold):
    """Inverts the pixels that are at least as bright as a threshold.

    Args:
        images: uint8 tensor `(batch, height, width, channels)`.
        threshold: float tensor `(batch,)`, 0 to 256; 256 changes nothing.

    Returns:
        uint8 tensor of the same shape.
    """
    # 256 has no place in uint8: what is above 255 is compared as "above".
    above = tf.cast(threshold, tf.int32)[:, tf.newaxis] - 1
    pixels = _rows(images)
    bright = (pixels > tf.cast(tf.maximum(above, 0), tf.uint8)) | (above < 0)
    mask = tf.cast(bright, tf.uint8) * tf.constant(255, tf.uint8)
    return tf.reshape(tf.bitwise.bitwise_xor(pixels, mask), tf.shape(images))


def posterize(images, bits):
    """Keeps the upper bits of each value.

    Args:
        images: uint8 tensor `(batch, height, width, channels)`.
        bits: float tensor `(batch,)`, 0 to 8; 8 changes nothing.

    Returns:
        uint8 tensor of the same shape.
    """
    dropped = 8 - tf.cast(bits, tf.int32)
    mask = tf.cast(256 - tf.bitwise.left_shift(1, dropped), tf.uint8)
    pixels = tf.bitwise.bitwise_and(_rows(images), mask[:, tf.newaxis])
    return tf.reshape(pixels, tf.shape(images))


def brightness(images, factor):
    """Blends with black.

    Args:
        images: uint8 tensor `(batch, height, width, channels)`.
        factor: float tensor `(batch,)`; 0 is black, 1 changes nothing.

    Returns:
        uint8 tensor of the same shape.
    """
    return _blend(images, 0.0, factor)


def contrast(images, factor):
    """Blends with the grey of the mean brightness.

    Args:
        images: uint8 tensor `(batch, height, width, channels)`.
        factor: float tensor `(batch,)`; 0 is grey, 1 changes nothing.

    Returns:
        uint8 tensor of the same shape.
    """
    # float32 holds a row's sum exactly, but maybe not an image's.
    sums = tf.cast(tf.reduce_sum(_grey(images), axis=2), tf.int64)
    total = tf.reduce_sum(sums, axis=1, keepdims=True)
    pixels = tf.cast(tf.shape(images)[1] * tf.shape(images)[2], tf.int64)
    mean = (2 * total + pixels) // (2 * pixels)
    return _blend(images, tf.cast(mean, tf.float32), factor)


def colour(images, factor):
    """Blends with the grey image.

    Args:
        images: uint8 tensor `(batch, height, width, channels)`.
        factor: float tensor `(batch,)`; 0 is grey, 1 changes nothing.

    Returns:
        uint8 tensor of the same shape. An image of one channel stays.
    """
    if images.shape[-1] == 1:
        return images
    grey = tf.repeat(_grey(images)[..., tf.newaxis], 3, axis=-1)
    return _blend(images, _rows(grey), factor)


def sharpness(images, factor):
    """Blends with the smoothed image; its edge of one pixel stays.

    Args:
        images: uint8 tensor `(batch, height, width, channels)`.
        factor: float tensor `(batch,)`; 0 is smooth, 1 changes nothing.

    Returns:
        uint8 tensor of the same shape.
    """
    height, width, channels = images.shape[1:]
    kernel = tf.constant(_SMOOTH)[:, :, tf.newaxis, tf.newaxis]
    pixels = tf.cast(images, tf.float32)
    # Sums of whole numbers, which float32 holds exactly.
    sums = tf.nn.depthwise_conv2d(
        pixels,
        tf.repeat(kernel, channels, axis=2),
        strides=(1, 1, 1, 1),
        padding="SAME",
    )
    inner = np.zeros((height, width, channels), bool)
    inner[1:-1, 1:-1] = True
    smooth = tf.where(
        inner.reshape(1, -1),
        tf.floor(_rows(sums) / 13.0 + 0.5),
        _rows(pixels),
    )
    return _blend(images, smooth, factor)


def _blend(images, degenerate, factor):
    """`degenerate + factor * (images - degenerate)`, cut to whole numbers.

    `degenerate` is float32: a scalar, `(batch, 1)`, or one of each pixel.
    """
    factor = tf.cast(factor, tf.float32)[:, tf.newaxis]
    difference = tf.cast(_rows(images), tf.float32) - degenerate
    blend = tf.clip_by_value(degenerate + factor * difference, 0.0, 255.0)
    return tf.reshape(tf.cast(blend, tf.uint8), tf.shape(images))


def _grey(images):
    """The brightness of each pixel: float32 `(batch, height, width)`."""
    if images.shape[-1] == 1:
        return tf.cast(images[..., 0], tf.float32)
    red, green, blue = (tf.cast(images[..., i], tf.float32) for i in range(3))
    # At most 2**24, so that float32 is exact.
    total = _RED * red + _GREEN * green + _BLUE * blue + 32768.0
    return tf.floor(total * (1.0 / 65536.0))


def _rows(images):
    """Images as `(batch, values)`: broadcasting is faster in two axes."""
    size = images.shape[1] * images.shape[2] * images.shape[3]
    return tf.reshape(images, (-1, size))


def _positions(images):
    """Where each value is in tables `(batch, channels, 256)`, flattened."""
    _, height, width, channels = images.shape
    first = tf.range(tf.shape(images)[0] * channels) * 256
    first = tf.tile(tf.reshape(first, (-1, 1, channels)), (1, 1, width))
    return tf.reshape(
        tf.cast(images, tf.int32), (-1, height, width * channels)
    ) + tf.reshape(first, (-1, 1, width * channels))


def _histograms(images, positions):
    """Counts of each value: int32 `(batch, channels, 256)`."""
    size = tf.shape(images)[0] * images.shape[-1] * 256
    counts = tf.math.bincount(
        tf.reshape(positions, (-1,)), minlength=size, maxlength=size
    )
    return tf.reshape(counts, (-1, images.shape[-1], 256))


def _look_up(tables, positions, images):
    flat = tf.reshape(tf.cast(tables, tf.uint8), (-1,))
    return tf.reshape(tf.gather(flat, positions), tf.shape(images))

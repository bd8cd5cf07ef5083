"""Changes brightness, contrast, saturation and hue; turns images grey.

Uses the formulas of Pillow's `ImageEnhance`, as torchvision's `ColorJitter`
does: each result is rounded to whole numbers from 0 to 255 and clipped.
All sums are of whole numbers that float32 holds exactly, so that no result
depends on the order in which a processor adds.
"""

import tensorflow as tf

from kd_keras.data.augmentation import checks

# The shares of red, green and blue in grey, of ITU-R BT.601, in steps of
# 2**-16 as in Pillow.
_GREY = (19595.0, 38470.0, 7471.0)
_STEPS = 2.0**16


def jitter(images, draws, *, brightness, contrast, saturation, hue, grey):
    """Changes colours, in the order of the arguments.

    Args:
        images: tensor `(batch, height, width, channels)`, from 0 to 255.
            float32 images are rounded first.
        draws: `order.Draws`.
        brightness, contrast, saturation, hue, grey: as in `ViewSpec`.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    pixels = tf.cast(images, tf.float32)
    if not images.dtype.is_integer:
        pixels = _whole(pixels)
    if brightness:
        pixels = _whole(_factor(draws, "brightness", brightness) * pixels)
    if contrast:
        factor = _factor(draws, "contrast", contrast)
        pixels = _blend(pixels, _mean(to_grey(pixels)), factor)
    if saturation:
        factor = _factor(draws, "saturation", saturation)
        pixels = _blend(pixels, to_grey(pixels), factor)
    if hue:
        turn = (2.0 * draws.fractions("hue") - 1.0) * hue
        pixels = _turn_hue(pixels, turn)
    if grey:
        chosen = _of_image(draws.fractions("grey") < grey)
        pixels = tf.where(chosen, to_grey(pixels), pixels)
    return tf.cast(pixels, images.dtype)


def check_images(image_shape, image_spec, **fields):
    """Raises a ValueError for images that `jitter` does not work with.

    Args:
        image_shape: `(height, width, channels)`.
        image_spec: `ImageSpec` of the images.
        **fields: as in `ViewSpec`.
    """
    names = [name for name, value in fields.items() if value]
    what = f"data.augment.{names[0]} changes colours"
    checks.require_range(image_spec, what)
    of_one_channel = {"brightness", "contrast"}.issuperset(names)
    checks.require_channels(
        image_shape, (1, 3) if of_one_channel else (3,), what
    )


def to_grey(pixels):
    """The brightness of each pixel, as a whole number.

    Args:
        pixels: float32 tensor `(batch, height, width, 1 or 3)` of whole
            numbers from 0 to 255.

    Returns:
        float32 tensor `(batch, height, width, 1)`.
    """
    if pixels.shape[-1] == 1:
        return pixels
    weighted = [
        weight * pixels[..., i : i + 1] for i, weight in enumerate(_GREY)
    ]
    return tf.floor((tf.add_n(weighted) + _STEPS / 2) / _STEPS)


def _factor(draws, name, strength):
    """Draws a factor from `1 - strength` to `1 + strength` for each image."""
    return _of_image(1.0 + strength * (2.0 * draws.fractions(name) - 1.0))


def _of_image(values):
    """A value for each image, `(batch,)`, as `(batch, 1, 1, 1)`."""
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]


def _blend(pixels, other, factor):
    """Moves pixels away from others, or towards them if `factor` < 1."""
    return _whole(factor * pixels + (1.0 - factor) * other)


def _whole(pixels):
    return tf.clip_by_value(tf.round(pixels), 0.0, 255.0)


def _mean(grey):
    """The mean of each image as a whole number, `(batch, 1, 1, 1)`."""
    # A row's sum is exact in float32, an image's may not be.
    rows = tf.cast(tf.reduce_sum(grey, axis=(2, 3)), tf.float64)
    count = grey.shape[1] * grey.shape[2]
    mean = tf.floor(tf.reduce_sum(rows, axis=1) / count + 0.5)
    return _of_image(tf.cast(mean, tf.float32))


def _turn_hue(pixels, turn):
    """Adds to the hue in HSV, which is a circle of length 1.

    Args:
        pixels: float32 tensor `(batch, height, width, 3)`.
        turn: float32 tensor `(batch,)`.
    """
    red, green, blue = tf.unstack(pixels, axis=-1)
    high = tf.maximum(tf.maximum(red, green), blue)
    low = tf.minimum(tf.minimum(red, green), blue)
    width = high - low
    safe = tf.maximum(width, 1.0)
    # In sixths of the circle.
    sixth = tf.where(
        high == red,
        (green - blue) / safe,
        tf.where(
            high == green,
            2.0 + (blue - red) / safe,
            4.0 + (red - green) / safe,
        ),
    )
    turned = sixth + 6.0 * turn[:, tf.newaxis, tf.newaxis]
    turned = tf.math.floormod(turned, 6.0)
    shares = (
        tf.abs(turned - 3.0) - 1.0,
        2.0 - tf.abs(turned - 2.0),
        2.0 - tf.abs(turned - 4.0),
    )
    planes = [low + width * tf.clip_by_value(x, 0.0, 1.0) for x in shares]
    return _whole(tf.stack(planes, axis=-1))

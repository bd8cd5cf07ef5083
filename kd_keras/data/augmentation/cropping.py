"""Random resized crop: draws the part of the original that an image shows."""

import tensorflow as tf

from kd_keras.data.augmentation import checks, random_boxes


def random_crop(draws, heights, widths, *, crop_scale, crop_ratio):
    """Draws the part of each image that is cropped and resized.

    Where none of ten boxes fits, it is the largest box in the centre whose
    aspect ratio lies in the range.

    Args:
        draws: `order.Draws`.
        heights, widths: int tensors `(batch,)`, the images' sizes in pixels.
        crop_scale, crop_ratio: as in `ViewSpec`.

    Returns:
        int32 tensor `(batch, 4)`: top, left, height and width in pixels.
    """
    heights, widths = tf.cast(heights, tf.int32), tf.cast(widths, tf.int32)
    boxes, fits = random_boxes.draw(
        draws, heights, widths, scale=crop_scale, ratio=crop_ratio
    )
    centre = _centre_box(heights, widths, *crop_ratio)
    return tf.where(fits[:, tf.newaxis], boxes, centre)


def check_images(image_shape, image_spec, **fields):
    """Raises a ValueError for images whose parts cannot be resized.

    Args:
        image_shape: `(height, width, channels)`.
        image_spec: `ImageSpec` of the images.
        **fields: as in `ViewSpec`.
    """
    what = "data.augment.crop_scale resizes images of integers"
    checks.require_integers(image_spec, what)
    checks.require_channels(image_shape, (1, 3), what)


def _centre_box(heights, widths, low, high):
    tall, wide = tf.cast(heights, tf.float64), tf.cast(widths, tf.float64)
    # In an image with an extreme ratio, a side of 0 pixels becomes 1.
    tall, wide = random_boxes.whole(
        tf.clip_by_value(wide / low, 1, tall),
        tf.clip_by_value(tall * high, 1, wide),
    )
    return tf.stack(
        [(heights - tall) // 2, (widths - wide) // 2, tall, wide], axis=-1
    )

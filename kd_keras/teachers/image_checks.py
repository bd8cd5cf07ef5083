"""Checks that the images of a batch have the range that a teacher takes."""

import tensorflow as tf

from kd_keras.models import image_spec

OUT_OF_RANGE = "images must have the range of values that the teacher takes"
# The rest of the error, with the numbers of the Assert.
RECEIVED = (
    "values from {2} to {3} for a teacher of {0} to {1}; scale them in the "
    "same way"
)
_COLOURS = 3
# Values this many times larger than a teacher's largest are of another range.
# Small values may be of a dark batch. Only fractions up to the second limit
# cannot be, for a teacher of images from 0 to 255.
_LARGEST_RATIO = 8.0
_LARGEST_FRACTION = 1.1


def with_channels(images, image_shape):
    """Repeats the channel of grey images for a model that takes colours.

    Args:
        images: tensor `(batch, height, width, channels)`.
        image_shape: `(height, width, channels)` of the model; empty if it is
            unknown.

    Returns:
        Tensor; other images are returned unchanged.
    """
    if images.shape.rank != 4 or not is_repeated(images.shape[1:], image_shape):
        return images
    return tf.repeat(images, _COLOURS, axis=-1)


def is_repeated(shape, image_shape):
    """Whether images are grey and a model takes colours.

    Args:
        shape: `(height, width, channels)` of the images.
        image_shape: the image shape of the model; empty if it is unknown.
    """
    return tuple(image_shape or ())[2:] == (_COLOURS,) and shape[2] == 1


def check_shape(images, image_shape, *, teacher):
    """Raises a ValueError if images are known to have another shape.

    Args:
        images: tensor.
        image_shape: `(height, width, channels)` of the teacher, None for any
            size; empty if it is unknown.
        teacher: str, for the message.
    """
    expected = tf.TensorShape([None, *(image_shape or ())])
    if image_shape and not expected.is_compatible_with(images.shape):
        raise ValueError(
            f"images for the teacher {teacher} must have the shape {expected}. "
            f"Received: {images.shape}; {_remedy(expected, images.shape)}"
        )


def _remedy(expected, received):
    if received.rank != expected.rank or received[3:] != expected[3:]:
        return "images without an axis of channels need one (images[..., None])"
    return (
        "kd_keras.resized(model, image_size) and load_teacher(path, "
        "image_size=...) make a teacher that resizes them "
        "(--config.teacher.image_size on the command line)"
    )


def checked(images, spec, *, teacher):
    """The images, after operations that fail if they have another range.

    Whole sets are compared more closely; see `image_spec.check_same`.

    Args:
        images: tensor `(batch, height, width, channels)`.
        spec: `ImageSpec` of the teacher, or None if it is unknown.
        teacher: str, for the message.

    Raises:
        ValueError: if they have another range; in a graph, only for images of
            uint8.
    """
    if spec is None:
        return images
    if not images.dtype.is_floating:
        if images.dtype == tf.uint8:
            image_spec.check_same(
                spec, image_spec.UINT8, model=f"the teacher {teacher}"
            )
        return images
    values = tf.cast(images, tf.float32)
    largest = tf.reduce_max(tf.abs(values))
    limit = _LARGEST_RATIO * max(abs(spec.low), abs(spec.high))
    wrong = largest > limit
    if spec.usual_range == (0, 255):
        fractions = tf.reduce_any(values != tf.round(values))
        wrong |= fractions & (largest <= _LARGEST_FRACTION)
    numbers = [spec.low, spec.high, tf.reduce_min(values), largest]
    if tf.executing_eagerly():
        if wrong:
            received = RECEIVED.format(*(f"{float(x):g}" for x in numbers))
            raise ValueError(f"{OUT_OF_RANGE}. Received: {received}")
        return images
    with tf.control_dependencies(
        [tf.debugging.Assert(~wrong, [OUT_OF_RANGE, *numbers])]
    ):
        return tf.identity(images)

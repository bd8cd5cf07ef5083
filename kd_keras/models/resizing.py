"""Resizes the images of a model inside the model.

TensorFlow's antialiased resizing is an operation that LiteRT and ONNX lack.
For images of one size it is two products with constant matrices. These are
written as convolutions of 1 x 1, which every runtime has, also in int8.
"""

import functools

import keras
import numpy as np
import tensorflow as tf

from kd_keras.models import interface

# The end of the name of a model that resizes its images.
_SUFFIX = "_resized"
# Arguments of `tf.image.resize` by name. Bicubic is Pillow's. Without
# antialiasing, pixels of an image that shrinks are left out.
METHODS = {
    "bilinear": {"method": "bilinear", "antialias": True},
    "bicubic": {"method": "bicubic", "antialias": True},
    "plain_bilinear": {"method": "bilinear", "antialias": False},
}


def resize(images, size, method="bilinear"):
    """Resizes images as `tf.image.resize` does.

    Args:
        images: tensor, array or `keras.KerasTensor` `(batch, height, width,
            channels)` of known height and width.
        size: `(height, width)`.
        method: str, a key of `METHODS`.

    Returns:
        float32 `(batch, *size, channels)`.
    """
    ops = keras.ops
    images = ops.cast(images, "float32")
    old_height, old_width = images.shape[1:3]
    if (old_height, old_width) == tuple(size):
        return images
    images = _lines(ops.transpose(images, (0, 3, 1, 2)), size[1], method)
    images = _lines(ops.transpose(images, (0, 1, 3, 2)), size[0], method)
    return ops.transpose(images, (0, 3, 2, 1))


def resize_array(images, size, *, batch_size=100):
    """Resizes an array of images, a part at a time.

    Args:
        images: array `(n, height, width, channels)`.
        size: `(height, width)`.
        batch_size: int, images at once.

    Returns:
        float32 array `(n, *size, channels)`.
    """
    starts = range(0, len(images), batch_size)
    return np.concatenate(
        [resize(images[i : i + batch_size], size).numpy() for i in starts]
    )


def resized(model, image_size, *, model_size=None):
    """Makes a model of images of another size, which resizes them itself.

    The new model contains `model` itself, as the last entry of its `layers`,
    and so shares its layers. It takes part in training, and is saved and
    exported with its resizing: bilinear, antialiased, in float32.

    Args:
        model: Keras model of one input, the images.
        image_size: int, or `(height, width)`: the size of the images that
            the new model takes.
        model_size: int, or `(height, width)` that the images are resized to;
            None for the only size that the model takes.

    Returns:
        Functional `keras.Model`.

    Raises:
        ValueError: if `model` is no Keras model of one input, or takes images
            of no fixed size and `model_size` is None, or of another fixed
            size.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            "a model that images are resized for must be a keras.Model; "
            "load_teacher(path, image_size=...) takes a file. Received: "
            f"{model!r}"
        )
    shape = interface.input_shape(model)
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ValueError(
            "a model that images are resized for must take one input (batch, "
            f"height, width, channels). Received: {model.name} with {shape}"
        )
    new = as_size(model_size) if model_size else shape[1:3]
    check_size(shape[1:], new, model=model.name, field="model_size")
    inputs = keras.Input((*as_size(image_size), shape[-1]), name="images")
    return keras.Model(
        inputs, model(resize(inputs, new)), name=f"{model.name}{_SUFFIX}"
    )


def inner_model(model):
    """The model inside one that `resized` made; None for other models."""
    inner = model.layers[-1]
    is_resized = model.name.endswith(_SUFFIX) and isinstance(inner, keras.Model)
    return inner if is_resized else None


def as_size(size):
    """Converts an int, for a square, or two ints to `(height, width)`.

    Raises:
        ValueError: if it is neither, or not positive.
    """
    given = size if isinstance(size, (tuple, list)) else (size, size)
    if len(given) == 2 and all(isinstance(x, int) and x > 0 for x in given):
        return tuple(given)
    raise ValueError(
        "a size must be a whole number of pixels > 0, or (height, width). "
        f"Received: {size!r}"
    )


def check_size(image_shape, size, *, model, field):
    """Raises a ValueError unless a model takes images of a size.

    Args:
        image_shape: `(height, width, channels)` of the model, None for any
            size; empty if it is unknown.
        size: `(height, width)`; None where it is not given.
        model: str, for the message.
        field: str, the option that gave the size.
    """
    if None in size:
        raise ValueError(
            f"{field} must be set for a model that takes images of any size. "
            f"Received: {model}"
        )
    pairs = zip(image_shape[:2], size)
    if any(taken not in (None, given) for taken, given in pairs):
        raise ValueError(
            f"{field} must be the size that the model takes, "
            f"{described(image_shape[:2])}. Received: {described(size)} for "
            f"{model}"
        )


def described(size):
    """A size as text: `224 x 224`."""
    return " x ".join("any" if x is None else str(x) for x in size)


def _lines(images, new, method):
    """Resizes the last axis of a tensor of 4 axes."""
    weights = _matrix(images.shape[-1], new, method)
    # Not `matmul`, which reshapes by operations that small runtimes lack.
    return keras.ops.conv(images, weights[None, None], padding="valid")


@functools.lru_cache(maxsize=64)
def _matrix(old, new, method):
    """Weights of the old pixels of a line: float32 array `(old, new)`."""
    # Each image of a single pixel shows that pixel's weights.
    single = np.eye(old, dtype="float32")[None, :, :, None]
    with tf.init_scope():
        resized = tf.image.resize(single, (new, old), **METHODS[method])
        return np.ascontiguousarray(resized[0, :, :, 0].numpy().T)

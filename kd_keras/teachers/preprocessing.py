"""Preprocessing of images from 0 to 255 for models that do not do it.

Wrong preprocessing raises no error: the model predicts other classes. So each
name means exactly the same as in `keras.applications`.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from keras.applications import imagenet_utils

from kd_keras.models import image_spec
from kd_keras.teachers import kind
from kd_keras.utils import source_code, suggestions

_COLOURS = 3


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """A preprocessing function, with its name and the channels that it needs.

    Attributes:
        name: str, a key of `PREPROCESSINGS`, or `module:function`.
        function: function of a float32 tensor `(batch, height, width,
            channels)` of images from 0 to 255 -> the tensor that the model
            takes.
        colour: bool, whether it needs red, green and blue.
    """

    name: str
    function: Callable
    colour: bool = False

    def __call__(self, images):
        """Applies it to images of any number type.

        Returns:
            float32 tensor.

        Raises:
            ValueError: if it needs colours and there are none, or a user's
                function fails.
        """
        images = tf.cast(images, tf.float32)
        if self.colour and images.shape[-1] != _COLOURS:
            raise ValueError(
                f"teacher.preprocess={self.name} is for images of three "
                f"channels. Received: images of {images.shape[-1]}"
            )
        try:
            return tf.cast(self.function(images), tf.float32)
        except Exception as error:
            if not self.is_own:
                raise
            raise ValueError(
                f"teacher.preprocess={self.name} must be a function of a batch "
                "of images, a float32 tensor. Received: one that raised "
                f"{type(error).__name__}: {kind.first_line(error)}"
            ) from error

    @property
    def is_own(self):
        """Whether it is a `module:function`."""
        return self.name not in PREPROCESSINGS

    @property
    def image_spec(self):
        """`ImageSpec` of the results for images from 0 to 255.

        None for a user's function, which may do anything.
        """
        if self.is_own:
            return None
        if self.name == NONE:
            return image_spec.UINT8
        channels = itertools.product((0, 255), repeat=_COLOURS)
        corners = np.array([*channels], "float32").reshape(-1, 1, 1, _COLOURS)
        return image_spec.measure(self(corners).numpy())


def _keras_mode(mode):
    return functools.partial(
        imagenet_utils.preprocess_input,
        mode=mode,
        data_format="channels_last",
    )


NONE = "none"
PREPROCESSINGS = {
    entry.name: entry
    for entry in (
        Preprocessing(NONE, lambda images: images),
        Preprocessing("0-1", lambda images: images / 255.0),
        Preprocessing("tf", _keras_mode("tf")),
        Preprocessing("torch", _keras_mode("torch"), colour=True),
        Preprocessing("caffe", _keras_mode("caffe"), colour=True),
    )
}


def find(name):
    """The `Preprocessing` of a name.

    Args:
        name: str, a key of `PREPROCESSINGS`, or `module:function`.

    Raises:
        ValueError: if the name is unknown, or the function cannot be imported.
    """
    if source_code.is_name(name):
        what = f"teacher.preprocess={name}"
        return Preprocessing(name, source_code.load(name, what=what))
    suggestions.check_choice(
        name, [*PREPROCESSINGS, "module:function"], what="teacher.preprocess"
    )
    return PREPROCESSINGS[name]


def record(name):
    """The code of a user's function, which the teacher's answers depend on.

    Args:
        name: str, as `find` takes it.

    Returns:
        dict of JSON values, empty for names of `PREPROCESSINGS`.
    """
    if not source_code.is_name(name):
        return {}
    module = name.partition(":")[0]
    return {"preprocess_code": source_code.fingerprint(module)}

"""Small real photos: parts of scikit-learn's sample images.

`china.jpg` (CC BY, Adam Jones) and `flower.jpg` (CC BY, dany13).
"""

import functools
import io

import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn import datasets


@functools.cache
def photo(height=48, width=64):
    """A photo: uint8 array `(height, width, 3)`."""
    image = Image.fromarray(datasets.load_sample_image("china.jpg"))
    pixels = np.asarray(image.resize((width, height), box=(80, 60, 400, 300)))
    pixels.setflags(write=False)
    return pixels


def encode(image, kind, **options):
    """The bytes of a file of an image, `PIL.Image` or array."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def write_folder(folder, images):
    """Writes images of several sizes as JPEG into a new folder.

    Args:
        folder: path.
        images: array `(n, height, width, channels)`.
    """
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        image = tf.image.resize(image, (30 + i % 5, 30 + i % 7))
        encoded = tf.io.encode_jpeg(tf.cast(image, tf.uint8))
        (folder / f"{i}.jpg").write_bytes(encoded.numpy())

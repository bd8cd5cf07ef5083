"""Small real photos: parts of scikit-learn's sample images.

`china.jpg` (CC BY, Adam Jones) and `flower.jpg` (CC BY, dany13).
"""

import functools
import io

import numpy as np
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

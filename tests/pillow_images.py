"""Images for comparisons with Pillow, and conversions."""

import numpy as np
from PIL import Image


def smooth_images(count, height, width, channels):
    """Blurred noise of another range in each channel: uint8."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (count, 3, 4, channels))
    rows = np.linspace(0, 2, height).round().astype(int)
    columns = np.linspace(0, 3, width).round().astype(int)
    fine = generator.integers(-20, 20, (count, height, width, channels))
    images = coarse[:, rows][:, :, columns] + fine
    low = generator.integers(0, 60, (count, 1, 1, channels))
    high = generator.integers(120, 256, (count, 1, 1, channels))
    return np.clip(images, low, high).astype("uint8")


def to_pillow(image):
    """An image `(height, width, 1 or 3)` as Pillow's."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def from_pillow(image, channels):
    return np.asarray(image).reshape(image.height, image.width, channels)


def each(images, function):
    """Applies a function of Pillow's image and its position to each image."""
    return np.stack(
        [
            from_pillow(function(to_pillow(image), i), image.shape[-1])
            for i, image in enumerate(images)
        ]
    )

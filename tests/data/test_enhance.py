"""Operations on the values of pixels equal those of Pillow."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import ImageEnhance, ImageOps
from pillow_images import each, smooth_images

from kd_keras.data.augmentation import enhance

COUNT = 24
FACTORS = np.linspace(0, 2, COUNT)
PILLOW = {
    "autocontrast": (FACTORS, lambda x, _: ImageOps.autocontrast(x)),
    "equalize": (FACTORS, lambda x, _: ImageOps.equalize(x)),
    "solarize": (np.arange(COUNT) * 256 // (COUNT - 1), ImageOps.solarize),
    "posterize": (np.arange(COUNT) % 8 + 1, ImageOps.posterize),
    "brightness": (FACTORS, lambda x, f: ImageEnhance.Brightness(x).enhance(f)),
    "contrast": (FACTORS, lambda x, f: ImageEnhance.Contrast(x).enhance(f)),
    "colour": (FACTORS, lambda x, f: ImageEnhance.Color(x).enhance(f)),
    "sharpness": (FACTORS, lambda x, f: ImageEnhance.Sharpness(x).enhance(f)),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PILLOW)
def test_an_operation_equals_pillow_s(name, channels):
    amounts, pillow = PILLOW[name]
    images = smooth_images(COUNT, 23, 28, channels)
    expected = each(images, lambda image, i: pillow(image, amounts[i]))
    result = getattr(enhance, name)(tf.constant(images), tf.constant(amounts))
    np.testing.assert_array_equal(result, expected)
    if name != "colour" or channels == 3:
        assert (expected != images).mean() > 0.2


@pytest.mark.parametrize("name", PILLOW)
def test_extreme_images_equal_pillow_s(name):
    """Of one value, of two values, and too small to smooth."""
    amounts, pillow = PILLOW[name]
    images = np.zeros((4, 2, 300, 3), "uint8")
    images[1] = 255
    images[2, :, :5] = [7, 0, 255]
    images[3] = np.arange(300).reshape(1, 300, 1) % 256
    chosen = amounts[[0, 9, 13, 23]]
    expected = each(images, lambda image, i: pillow(image, chosen[i]))
    result = getattr(enhance, name)(tf.constant(images), tf.constant(chosen))
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", PILLOW)
def test_no_images_give_no_images(name):
    # An operation that no image of a batch has drawn.
    result = getattr(enhance, name)(
        tf.zeros((0, 5, 6, 3), tf.uint8), tf.zeros((0,), tf.float64)
    )
    assert result.shape == (0, 5, 6, 3)

"""Blur, against SciPy."""

import numpy as np
import pytest
import views
from scipy import ndimage

from kd_keras.data import augmentation
from kd_keras.data.augmentation import ViewSpec, blurring
from kd_keras.models import image_spec


def test_a_blur_is_that_of_scipy():
    pixels = views.images(30)
    made = views.make(pixels, blur=0.5, blur_sigma=(0.1, 3.0))
    draws = views.draws("blur", 30)
    chosen = draws.fractions("chance").numpy() < 0.5
    assert 5 < chosen.sum() < 25
    np.testing.assert_array_equal(made[~chosen], pixels[~chosen])
    sigmas = np.linspace(0.1, 3.0, 256)[draws.integers("sigma", 256).numpy()]
    for before, after, sigma in zip(
        pixels[chosen], made[chosen], sigmas[chosen]
    ):
        expected = ndimage.gaussian_filter(
            before.astype("float64"), (sigma, sigma, 0), mode="mirror", radius=9
        )
        # Half of rounding, and the steps of pixels and weights.
        assert np.abs(after - expected).max() < 0.75
        assert np.abs(after - expected).mean() < 0.3


def test_an_even_image_keeps_its_grey():
    pixels = np.full((40, 9, 8, 1), 255, "uint8")
    made = views.make(pixels, blur=1.0, blur_sigma=(0.5, 2.0))
    np.testing.assert_array_equal(made, pixels)


def test_float_images_have_the_same_views():
    pixels = views.images()
    made = views.make(pixels.astype("float32"), blur=1.0)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(np.round(made), views.make(pixels, blur=1.0))


def test_weights_are_exact_in_float32():
    kernels = blurring.make_kernels(0.1, 2.0)
    assert kernels.shape == (256, 13)
    np.testing.assert_array_equal(kernels * 4096, np.round(kernels * 4096))
    np.testing.assert_array_equal(kernels.sum(axis=1), 1.0)
    # The largest sum, in steps of pixels and weights.
    assert 255 * 16 * 4096 < 2**24


@pytest.mark.parametrize(
    ("shape", "images", "message"),
    [
        ((6, 9, 3), image_spec.UINT8, r"blur_sigma .* 6 x 9 .*\(0.1, 2.0\)"),
        (
            (9, 9, 3),
            image_spec.ImageSpec("float32", -1.0, 1.0),
            "blur .* from 0 to 255.* float32 from -1 to 1",
        ),
    ],
)
def test_other_images_are_refused(shape, images, message):
    augmentation.check(ViewSpec(blur=0.1), (7, 7, 1), image_spec.UINT8)
    with pytest.raises(ValueError, match=message):
        augmentation.check(ViewSpec(blur=0.1), shape, images)

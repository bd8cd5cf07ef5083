"""Changes of colours, against Pillow and a slow loop."""

import colorsys

import numpy as np
import pytest
import views
from PIL import Image, ImageEnhance
from scipy import stats

from kd_keras.data import augmentation
from kd_keras.data.augmentation import ViewSpec
from kd_keras.models import image_spec

IMAGES = views.images(6, 7, 9)


def factors(name, strength):
    fractions = views.draws("colour", len(IMAGES)).fractions(name).numpy()
    return 1 + strength * (2 * fractions - 1)


@pytest.mark.parametrize(
    ("name", "enhancer"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ],
)
def test_factors_are_those_of_pillow(name, enhancer):
    made = views.make(IMAGES, **{name: 0.8})
    assert (made != IMAGES).any(axis=(1, 2, 3)).all()
    for before, after, factor in zip(IMAGES, made, factors(name, 0.8)):
        expected = enhancer(Image.fromarray(before)).enhance(float(factor))
        # Pillow truncates values that are rounded here.
        difference = after.astype(int) - np.asarray(expected)
        assert difference.min() >= 0 and difference.max() <= 1
        assert difference.mean() < 0.7


def test_hue_is_turned_in_hsv():
    made = views.make(IMAGES, hue=0.5)
    turns = views.draws("colour", len(IMAGES)).fractions("hue").numpy() - 0.5
    for before, after, turn in zip(IMAGES, made, turns):
        for pixel, changed in zip(before.reshape(-1, 3), after.reshape(-1, 3)):
            hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
            expected = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
            np.testing.assert_allclose(
                changed, 255 * np.array(expected), atol=0.501
            )


def test_grey_views_are_those_of_pillow():
    pixels = views.images(400, 4, 5)
    made = views.make(pixels, grey=0.3)
    grey = views.draws("colour", 400).fractions("grey").numpy() < 0.3
    assert 0.22 < grey.mean() < 0.38
    np.testing.assert_array_equal(made[~grey], pixels[~grey])
    for before, after in zip(pixels[grey][:20], made[grey]):
        expected = np.asarray(Image.fromarray(before).convert("L"))
        for channel in range(3):
            np.testing.assert_array_equal(after[..., channel], expected)


def test_changes_follow_each_other():
    """Brightness, contrast, saturation, hue, grey, each rounded."""
    fields = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}
    fields |= {"hue": 0.2, "grey": 0.5}
    one_by_one = IMAGES
    for name, value in fields.items():
        one_by_one = views.make(one_by_one, **{name: value})
    np.testing.assert_array_equal(views.make(IMAGES, **fields), one_by_one)


@pytest.mark.parametrize(
    "name", ["brightness", "contrast", "saturation", "hue", "grey"]
)
def test_draws_are_uniform_and_independent(name):
    count = 4000
    fractions = views.draws("colour", count).fractions(name).numpy()
    assert stats.kstest(fractions, "uniform").pvalue > 0.01
    other = views.draws("colour", count).fractions("other").numpy()
    assert abs(np.corrcoef(fractions, other)[0, 1]) < 0.05


def test_float_images_have_the_same_views():
    fields = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.2}
    made = views.make(IMAGES.astype("float32"), **fields)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, views.make(IMAGES, **fields))


def test_images_of_one_channel_have_brightness_and_contrast():
    grey = IMAGES[..., :1]
    made = views.make(grey, contrast=0.5)
    in_three = views.make(np.repeat(grey, 3, axis=-1), contrast=0.5)
    np.testing.assert_array_equal(np.repeat(made, 3, axis=-1), in_three)


@pytest.mark.parametrize(
    ("fields", "shape", "images", "message"),
    [
        ({"hue": 0.1}, (8, 8, 1), image_spec.UINT8, "hue .* 3 channels.* 1"),
        ({"grey": 0.1}, (8, 8, 4), image_spec.UINT8, "grey .* 3 channels.* 4"),
        (
            {"brightness": 0.1, "contrast": 0.1},
            (8, 8, 2),
            image_spec.UINT8,
            "brightness .* 1 or 3 channels.* 2",
        ),
        (
            {"contrast": 0.1},
            (8, 8, 3),
            image_spec.ImageSpec("float32", 0.0, 1.0),
            "contrast .* from 0 to 255.* float32 from 0 to 1",
        ),
    ],
)
def test_images_without_such_colours_are_refused(
    fields, shape, images, message
):
    with pytest.raises(ValueError, match=message):
        augmentation.check(ViewSpec(**fields), shape, images)

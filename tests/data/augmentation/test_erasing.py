"""Random erasing."""

import numpy as np
import pytest
import views
from scipy import stats

from kd_keras.data import augmentation
from kd_keras.data.augmentation import ViewSpec
from kd_keras.models import image_spec

COUNT = 1500


@pytest.fixture(scope="module")
def erased():
    """Images, their views, and which pixels were erased."""
    # No channel of an image has the colour that it is covered with.
    colours = views.draws("erasing", COUNT).integers("colour", 256, 3).numpy()
    pixels = np.zeros((COUNT, 20, 30, 3), "uint8")
    pixels += (colours.T[:, np.newaxis, np.newaxis] < 128).astype("uint8") * 255
    made = views.make(pixels, erasing=0.5)
    return pixels, made, (made != pixels).all(axis=-1)


def test_one_box_has_one_colour(erased):
    pixels, made, covered = erased
    assert 0.46 < covered.any(axis=(1, 2)).mean() < 0.54
    np.testing.assert_array_equal(made[~covered], pixels[~covered])
    colours = views.draws("erasing", COUNT).integers("colour", 256, 3).numpy()
    for index in np.flatnonzero(covered.any(axis=(1, 2)))[:100]:
        box = covered[index]
        rows, columns = box.any(axis=1), box.any(axis=0)
        np.testing.assert_array_equal(box, np.outer(rows, columns))
        assert (made[index][box] == colours[:, index]).all()


def test_areas_and_ratios_are_the_published_ones(erased):
    _, _, covered = erased
    covered = covered[covered.any(axis=(1, 2))]
    area = covered.mean(axis=(1, 2))
    assert area.min() > 0.01 and area.max() < 0.36
    # Wide boxes of a large area do not fit, so the mean is a little less
    # than a uniform share would have.
    assert area.mean() == pytest.approx((0.02 + 0.33) / 2, abs=0.015)
    tall = covered.any(axis=2).sum(axis=1)
    wide = covered.any(axis=1).sum(axis=1)
    assert tall.max() <= 19 and wide.max() <= 29
    ratio = wide / tall
    assert 0.2 < ratio.min() < 0.45 and 2.3 < ratio.max() < 4


def test_colours_are_uniform_and_independent():
    drawn = views.draws("erasing", 6000).integers("colour", 256, 3).numpy()
    counts = np.stack([np.bincount(row // 16, minlength=16) for row in drawn])
    assert (stats.chisquare(counts, axis=1).pvalue > 0.01).all()
    assert np.abs(np.corrcoef(drawn) - np.eye(3)).max() < 0.05


def test_images_of_another_range_are_refused():
    images = image_spec.ImageSpec("float32", 0.0, 1.0)
    with pytest.raises(ValueError, match="erasing .* from 0 to 255"):
        augmentation.check(ViewSpec(erasing=0.1), (8, 8, 3), images)

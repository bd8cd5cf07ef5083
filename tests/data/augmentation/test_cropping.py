"""Random crops, against a slow loop."""

import math

import numpy as np
import pytest
import tensorflow as tf
import views
from scipy import stats

from kd_keras.data import augmentation
from kd_keras.data.augmentation import ViewSpec
from kd_keras.models import image_spec

SPEC = ViewSpec(seed=3, crop_scale=(0.08, 1.0))


def crops(ids, heights, widths, *, view=4, spec=SPEC):
    crop = augmentation.crop_of(spec, view=view)
    return crop(
        tf.constant(ids, tf.int64), tf.constant(heights), tf.constant(widths)
    ).numpy()


def by_hand(areas, ratios, height, width):
    """The loop of torchvision's `RandomResizedCrop`: height and width."""
    for share, log_ratio in zip(areas, ratios):
        area = height * width * (0.08 + 0.92 * share)
        low, high = math.log(3 / 4), math.log(4 / 3)
        ratio = math.exp(low + (high - low) * log_ratio)
        tall, wide = (
            round(math.sqrt(area / ratio)),
            round(math.sqrt(area * ratio)),
        )
        if 0 < tall <= height and 0 < wide <= width:
            return tall, wide, False
    if width / height < 3 / 4:
        return round(width / (3 / 4)), width, True
    if width / height > 4 / 3:
        return height, round(height * (4 / 3)), True
    return height, width, True


def test_crops_are_those_of_the_published_loop():
    count = 300
    sizes = np.random.default_rng(0).integers(20, 90, (count, 2))
    sizes[:40, 0], sizes[40:80, 1] = 400, 400
    sizes = sizes.astype("int32")
    found = crops(np.arange(count), sizes[:, 0], sizes[:, 1])
    draws = views.draws("random_crop", count)
    areas = draws.fractions("area", 10).numpy().T.astype("float64")
    ratios = draws.fractions("ratio", 10).numpy().T.astype("float64")
    centred = 0
    for box, area, ratio, (height, width) in zip(found, areas, ratios, sizes):
        tall, wide, is_centred = by_hand(area, ratio, height, width)
        assert box[2:].tolist() == [tall, wide]
        assert 0 <= box[0] <= height - tall and 0 <= box[1] <= width - wide
        if is_centred:
            centred += 1
            assert box[:2].tolist() == [
                (height - tall) // 2,
                (width - wide) // 2,
            ]
    assert 5 < centred < 100


def test_places_of_crops_are_uniform():
    count = 4000
    spec = ViewSpec(seed=3, crop_scale=(0.25, 0.25), crop_ratio=(1.0, 1.0))
    side = np.full(count, 40, "int32")
    found = crops(np.arange(count), side, side, spec=spec)
    assert (found[:, 2:] == 20).all()
    for places in found[:, :2].T:
        counts = np.bincount(places, minlength=21)
        assert len(counts) == 21
        assert stats.chisquare(counts).pvalue > 0.01
    assert abs(np.corrcoef(found[:, 0], found[:, 1])[0, 1]) < 0.05


def test_crops_depend_on_seed_view_and_id_alone():
    ids = np.arange(50) * 7
    heights = np.arange(50, 100, dtype="int32")
    widths = heights[::-1].copy()
    all_at_once = crops(ids, heights, widths)
    for index in (0, 17, 49):
        one = slice(index, index + 1)
        np.testing.assert_array_equal(
            crops(ids[one], heights[one], widths[one]), all_at_once[one]
        )
    for other in (
        crops(ids, heights, widths, view=5),
        crops(ids + 1, heights, widths),
        crops(ids, heights, widths, spec=ViewSpec(crop_scale=(0.08, 1.0))),
    ):
        assert (other == all_at_once).all(axis=1).mean() < 0.1


def test_narrow_images_are_cropped_to_a_pixel_at_least():
    found = crops(
        [0, 1, 2],
        np.array([1, 900, 1], "int32"),
        np.array([900, 1, 1], "int32"),
    )
    assert (found >= 0).all() and (found[:, 2:] >= 1).all()


def test_without_a_crop_images_are_read_whole():
    assert augmentation.crop_of(ViewSpec(mirror="random"), view=0) is None


@pytest.mark.parametrize(
    ("shape", "images", "message"),
    [
        ((8, 8, 2), image_spec.UINT8, "crop_scale .* 1 or 3 channels.*: 2"),
        (
            (8, 8, 3),
            image_spec.ImageSpec("float32", 0.0, 255.0),
            "crop_scale .*integers.* float32 from 0 to 255",
        ),
    ],
)
def test_images_that_cannot_be_resized_are_refused(shape, images, message):
    augmentation.check(SPEC, (8, 8, 1), image_spec.UINT8)
    with pytest.raises(ValueError, match=message):
        augmentation.check(SPEC, shape, images)


@pytest.mark.parametrize("scale", [(0.0, 1.0), (0.5,), (0.5, 0.4), (0.5, 1.1)])
def test_a_range_that_is_none_is_refused(scale):
    with pytest.raises(
        ValueError, match=r"crop_scale must be empty or a tuple"
    ):
        ViewSpec(crop_scale=scale)

"""Augmented views: reproducible, and of the kind that `ViewSpec` sets."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from kd_keras.data import augmentation
from kd_keras.data.augmentation import ViewSpec

FULL = ViewSpec(translate=2, mirror="random", cutout=6)


@pytest.fixture
def images():
    shape = (64, 12, 10, 3)
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


IDS = np.arange(64, dtype="int64") * 1000


def make(images, ids=IDS, *, seed=0, view=0, spec=FULL):
    return augmentation.make_views(
        tf.constant(images),
        tf.constant(ids),
        view=view,
        spec=dataclasses.replace(spec, seed=seed),
    ).numpy()


def test_a_view_depends_on_seed_view_and_id_only(images):
    together = make(images)
    order = np.random.default_rng(1).permutation(64)
    np.testing.assert_array_equal(
        make(images[order], IDS[order]), together[order]
    )
    np.testing.assert_array_equal(make(images[5:6], IDS[5:6]), together[5:6])
    assert together.dtype == np.uint8


@pytest.mark.parametrize("change", [{"seed": 1}, {"view": 1}, {"ids": IDS + 1}])
def test_another_seed_view_or_id_gives_other_views(images, change):
    # Not all: two views of one image may coincide by chance.
    same = (make(images, **change) == make(images)).all(axis=(1, 2, 3))
    assert same.mean() < 0.2


@pytest.mark.slow
def test_graph_and_eager_give_the_same_views(images):
    traced = tf.function(
        lambda view: augmentation.make_views(
            tf.constant(images),
            tf.constant(IDS),
            view=view,
            spec=FULL,
        )
    )
    np.testing.assert_array_equal(
        traced(tf.constant(3, tf.int64)), make(images, view=3)
    )


# Stores hold the teacher's logits for such views: they must never change.
@pytest.mark.parametrize(
    ("fields", "view", "rows"),
    [
        (
            {"translate": 2},
            5,
            ["6 7 8 9 8", "1 2 3 4 3", "6 7 8 9 8", "11 12 13 14 13"],
        ),
        (
            {"mirror": "random"},
            6,
            ["4 3 2 1 0", "9 8 7 6 5", "14 13 12 11 10", "19 18 17 16 15"],
        ),
        (
            {"mirror": "alternating"},
            5,
            ["4 3 2 1 0", "9 8 7 6 5", "14 13 12 11 10", "19 18 17 16 15"],
        ),
        (
            {"cutout": 3},
            5,
            [
                "0 128 128 128 4",
                "5 128 128 128 9",
                "10 11 12 13 14",
                "15 16 17 18 19",
            ],
        ),
        (
            {"translate": 1, "mirror": "alternating", "cutout": 2},
            5,
            [
                "9 128 128 6 5",
                "14 13 12 11 10",
                "19 18 17 16 15",
                "14 13 12 11 10",
            ],
        ),
        (
            {"mixup": 1.0},
            5,
            [
                "76 77 78 79 80",
                "81 82 83 84 85",
                "86 87 88 89 90",
                "91 92 93 94 95",
            ],
        ),
        (
            {"cutmix": 1.0},
            5,
            [
                "0 101 102 103 104",
                "5 106 107 108 109",
                "10 111 112 113 114",
                "15 16 17 18 19",
            ],
        ),
    ],
)
def test_views_stay_what_stores_were_made_with(fields, view, rows):
    """The view of example 2, an image of the pixels 0 to 19."""
    image = tf.reshape(tf.range(20), (1, 4, 5, 1))
    ids = tf.constant([2], tf.int64)
    spec = ViewSpec(seed=3, **fields)
    made = augmentation.make_views(image, ids, view=view, spec=spec)
    if spec.mixes:
        made = augmentation.mix(made, image + 100, ids, view=view, spec=spec)
    expected = [[int(pixel) for pixel in row.split()] for row in rows]
    assert made[0, ..., 0].numpy().tolist() == expected


def test_partners_stay_what_stores_were_made_with():
    ids = tf.constant([0, 1, 2], tf.int64)
    drawn = augmentation.partners(ids, view=5, spec=ViewSpec(seed=3), count=100)
    assert drawn.numpy().tolist() == [93, 82, 20]


def test_translation_is_a_crop_of_the_reflected_image(images):
    result = make(images, spec=ViewSpec(translate=2))
    padded = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)], "reflect")
    shifts = set()
    for image, wide in zip(result, padded):
        matches = {
            (y, x)
            for y in range(5)
            for x in range(5)
            if (wide[y : y + 12, x : x + 10] == image).all()
        }
        assert len(matches) == 1
        shifts |= matches
    # 64 draws of 25 shifts: nearly all occur, none is impossible.
    assert len(shifts) > 18


def test_random_mirror_is_a_fair_coin(images):
    result = make(images, spec=ViewSpec(mirror="random"))
    mirrored = (result == images[:, :, ::-1]).all(axis=(1, 2, 3))
    kept = (result == images).all(axis=(1, 2, 3))
    assert (mirrored ^ kept).all()
    assert 16 < mirrored.sum() < 48


def test_alternating_mirror_shows_both_images_in_two_views(images):
    spec = ViewSpec(mirror="alternating")
    first, second, third = (make(images, view=v, spec=spec) for v in range(3))
    np.testing.assert_array_equal(second, first[:, :, ::-1])
    np.testing.assert_array_equal(third, first)
    mirrored = (first == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 16 < mirrored.sum() < 48


def test_cutout_greys_one_square(images):
    images = np.maximum(images, 1) % 128  # nothing is grey before
    result = make(images, spec=ViewSpec(cutout=4))
    for before, after in zip(images, result):
        cut = (after == 128).all(axis=-1)
        rows, columns = np.flatnonzero(cut.any(1)), np.flatnonzero(cut.any(0))
        assert 1 < len(rows) <= 4 and 1 < len(columns) <= 4
        assert cut.sum() == len(rows) * len(columns)
        np.testing.assert_array_equal(before[~cut], after[~cut])


def test_by_default_the_images_are_kept(images):
    np.testing.assert_array_equal(make(images, spec=ViewSpec()), images)


def test_mixup_is_the_mean_of_two_views(images):
    """In the given share of the views, with weights uniform in [0, 1)."""
    spec = ViewSpec(mixup=0.5)
    many = np.arange(2000)
    shape = (2000, *images.shape[1:])
    mixed = augmentation.mix(
        tf.constant(np.full(shape, 0, "uint8")),
        tf.constant(np.full(shape, 200, "uint8")),
        tf.constant(many),
        view=3,
        spec=spec,
    ).numpy()
    assert mixed.dtype == np.uint8
    # One weight for the whole image.
    values = mixed[:, 0, 0, 0]
    assert (mixed == values[:, np.newaxis, np.newaxis, np.newaxis]).all()
    assert 0.45 < (values > 0).mean() < 0.55
    share = np.histogram(values[values > 0], bins=4, range=(0, 200))[0]
    assert share.min() > 0.2 * share.sum()


def test_mixing_rounds_integers_only(images):
    ids = tf.constant(IDS)
    spec = ViewSpec(mixup=1.0)
    a, b = tf.zeros((64, 4, 4, 1)), tf.ones((64, 4, 4, 1))
    exact = augmentation.mix(a, b, ids, view=0, spec=spec).numpy()
    assert ((exact > 0.01) & (exact < 0.99)).mean() > 0.9
    whole = augmentation.mix(
        tf.cast(a, tf.uint8), tf.cast(b, tf.uint8), ids, view=0, spec=spec
    ).numpy()
    np.testing.assert_array_equal(whole, np.round(exact))


def test_cutmix_pastes_one_box_of_the_partner():
    spec = ViewSpec(cutmix=1.0)
    shape = (500, 12, 12, 2)
    mixed = augmentation.mix(
        tf.constant(np.zeros(shape, "uint8")),
        tf.constant(np.full(shape, 7, "uint8")),
        tf.constant(np.arange(500)),
        view=0,
        spec=spec,
    ).numpy()
    assert set(np.unique(mixed)) == {0, 7}
    pasted = mixed[..., 0] == 7
    for box in pasted:
        rows, columns = box.any(axis=1), box.any(axis=0)
        np.testing.assert_array_equal(box, np.outer(rows, columns))
        for line in (rows, columns):
            assert np.abs(np.diff(line.astype(int))).sum() <= 2
    share = pasted.mean(axis=(1, 2))
    # Boxes are clipped at the edge. With sides s, as shares of the image's,
    # the mean is E[(s - s**2 / 4)**2] = 1/2 - 1/5 + 1/48.
    assert share.mean() == pytest.approx(0.321, abs=0.04)


def test_a_view_has_either_mixup_or_cutmix():
    shape = (500, 12, 12, 1)
    mixed = augmentation.mix(
        tf.constant(np.zeros(shape, "uint8")),
        tf.constant(np.full(shape, 200, "uint8")),
        tf.constant(np.arange(500)),
        view=0,
        spec=ViewSpec(mixup=0.5, cutmix=0.5),
    ).numpy()
    flat = (mixed == mixed[:, :1, :1]).all(axis=(1, 2, 3))
    # Nearly every view is mixed; a box of no or all pixels is rare.
    assert 0.4 < (flat & (mixed[:, 0, 0, 0] > 0)).mean() < 0.65
    assert (flat & (mixed[:, 0, 0, 0] == 0)).mean() < 0.05


def test_partners_and_weights_depend_on_seed_view_and_id(images):
    spec = ViewSpec(seed=1, mixup=0.5, cutmix=0.5)

    def mixed(ids, *, view=0, seed=1):
        return augmentation.mix(
            tf.constant(images),
            tf.constant(images[::-1]),
            tf.constant(ids),
            view=view,
            spec=dataclasses.replace(spec, seed=seed),
        ).numpy()

    def partners(ids, *, view=0, seed=1):
        chosen = dataclasses.replace(spec, seed=seed)
        return augmentation.partners(
            tf.constant(ids), view=view, spec=chosen, count=10**6
        ).numpy()

    np.testing.assert_array_equal(mixed(IDS), mixed(IDS))
    for change in ({"view": 1}, {"seed": 2}):
        same = (mixed(IDS, **change) == mixed(IDS)).all(axis=(1, 2, 3))
        assert same.mean() < 0.3
        assert (partners(IDS, **change) == partners(IDS)).mean() < 0.1
    np.testing.assert_array_equal(partners(IDS[5:6]), partners(IDS)[5:6])
    assert ViewSpec(mixup=0.1).mixes and ViewSpec(cutmix=0.1).mixes
    assert not ViewSpec(cutout=4).mixes

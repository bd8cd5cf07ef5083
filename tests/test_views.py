"""Views are pure functions of (seed, view, id), and what they say they are."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from kd_keras.data import views
from kd_keras.data.views import ViewSpec

FULL = ViewSpec(translate=2, mirror="random", cutout=6)


@pytest.fixture
def images():
    shape = (64, 12, 10, 3)
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


IDS = np.arange(64, dtype="int64") * 1000


def make(images, ids=IDS, *, seed=0, view=0, spec=FULL):
    return views.make_views(
        tf.constant(images),
        tf.constant(ids),
        view=view,
        spec=dataclasses.replace(spec, seed=seed),
    ).numpy()


def test_a_view_depends_on_seed_view_and_id_alone(images):
    together = make(images)
    order = np.random.default_rng(1).permutation(64)
    np.testing.assert_array_equal(
        make(images[order], IDS[order]), together[order]
    )
    np.testing.assert_array_equal(make(images[5:6], IDS[5:6]), together[5:6])
    assert together.dtype == np.uint8


@pytest.mark.parametrize("change", [{"seed": 1}, {"view": 1}, {"ids": IDS + 1}])
def test_another_seed_view_or_id_gives_other_views(images, change):
    # All but a few: two views of one picture may coincide by chance.
    same = (make(images, **change) == make(images)).all(axis=(1, 2, 3))
    assert same.mean() < 0.2


def test_graph_and_eager_give_the_same_views(images):
    traced = tf.function(
        lambda view: views.make_views(
            tf.constant(images),
            tf.constant(IDS),
            view=view,
            spec=FULL,
        )
    )
    np.testing.assert_array_equal(
        traced(tf.constant(3, tf.int64)), make(images, view=3)
    )


def test_translation_is_a_crop_of_the_reflected_picture(images):
    result = make(images, spec=ViewSpec(translate=2))
    padded = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)], "reflect")
    shifts = set()
    for picture, wide in zip(result, padded):
        matches = {
            (y, x)
            for y in range(5)
            for x in range(5)
            if (wide[y : y + 12, x : x + 10] == picture).all()
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


def test_without_augmentation_the_pictures_are_kept(images):
    np.testing.assert_array_equal(make(images, spec=ViewSpec()), images)


def test_epoch_order_is_a_new_permutation_every_epoch():
    ids = tf.range(1000, dtype=tf.int64)
    orders = [
        views.epoch_order(ids, seed=0, epoch=epoch).numpy() for epoch in (0, 1)
    ]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(1000))
        # Rank correlation of a random permutation: 0 within 1 / sqrt(1000).
        assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 0.15
    assert abs(np.corrcoef(*orders)[0, 1]) < 0.15

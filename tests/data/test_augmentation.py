"""Views are pure functions of (seed, view, id), and what they say they are."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from kd_keras.data import augmentation as views
from kd_keras.data.augmentation import ViewSpec

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


def test_mixup_is_the_mean_of_two_views(images):
    """Of the share that is asked for; the weights are spread over [0, 1)."""
    spec = ViewSpec(mixup=0.5)
    many = np.arange(2000)
    shape = (2000, *images.shape[1:])
    mixed = views.mix(
        tf.constant(np.full(shape, 0, "uint8")),
        tf.constant(np.full(shape, 200, "uint8")),
        tf.constant(many),
        view=3,
        spec=spec,
    ).numpy()
    assert mixed.dtype == np.uint8
    # One weight a picture.
    values = mixed[:, 0, 0, 0]
    assert (mixed == values[:, np.newaxis, np.newaxis, np.newaxis]).all()
    assert 0.45 < (values > 0).mean() < 0.55
    share = np.histogram(values[values > 0], bins=4, range=(0, 200))[0]
    assert share.min() > 0.2 * share.sum()


def test_mixing_rounds_whole_numbers_only(images):
    ids = tf.constant(IDS)
    spec = ViewSpec(mixup=1.0)
    a, b = tf.zeros((64, 4, 4, 1)), tf.ones((64, 4, 4, 1))
    exact = views.mix(a, b, ids, view=0, spec=spec).numpy()
    assert ((exact > 0.01) & (exact < 0.99)).mean() > 0.9
    whole = views.mix(
        tf.cast(a, tf.uint8), tf.cast(b, tf.uint8), ids, view=0, spec=spec
    ).numpy()
    np.testing.assert_array_equal(whole, np.round(exact))


def test_cutmix_pastes_one_box_of_the_partner():
    spec = ViewSpec(cutmix=1.0)
    shape = (500, 12, 12, 2)
    mixed = views.mix(
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
    # Uniform but for what falls over the edge: for sides s of the picture's,
    # a mean of E[(s - s**2 / 4)**2] = 1/2 - 1/5 + 1/48.
    assert share.mean() == pytest.approx(0.321, abs=0.04)


def test_mixup_and_cutmix_fall_on_different_views():
    shape = (500, 12, 12, 1)
    mixed = views.mix(
        tf.constant(np.zeros(shape, "uint8")),
        tf.constant(np.full(shape, 200, "uint8")),
        tf.constant(np.arange(500)),
        view=0,
        spec=ViewSpec(mixup=0.5, cutmix=0.5),
    ).numpy()
    flat = (mixed == mixed[:, :1, :1]).all(axis=(1, 2, 3))
    # Nearly none is left as it is; a box of 0 or all pixels is rare.
    assert 0.4 < (flat & (mixed[:, 0, 0, 0] > 0)).mean() < 0.65
    assert (flat & (mixed[:, 0, 0, 0] == 0)).mean() < 0.05


def test_partners_and_weights_belong_to_the_view(images):
    spec = ViewSpec(seed=1, mixup=0.5, cutmix=0.5)

    def mixed(ids, *, view=0, seed=1):
        return views.mix(
            tf.constant(images),
            tf.constant(images[::-1]),
            tf.constant(ids),
            view=view,
            spec=dataclasses.replace(spec, seed=seed),
        ).numpy()

    def partners(ids, *, view=0, seed=1):
        chosen = dataclasses.replace(spec, seed=seed)
        return views.partners(
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

"""Random numbers and epoch orders."""

import importlib
import pkgutil

import numpy as np
import pytest
import tensorflow as tf

from kd_keras.data import augmentation, order

IDS = tf.constant([0, 1, 2, 1000, 59_999, 2**40], tf.int64)


# The hash by hand, with Python's whole numbers.
def split_mix(value):
    value = (value + 0x9E3779B97F4A7C15) % 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


def hashed(*, seed, draw, view, example):
    value = seed
    for number in (draw, view, example):
        value = split_mix((value + number) % 2**64)
    return value


def signed(value):
    return value - 2**64 if value >= 2**63 else value


def test_the_hash_is_the_published_one():
    """The first numbers of SplitMix64 from the state 1234567, by its author."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    states = [1234567 + i * 0x9E3779B97F4A7C15 for i in range(3)]
    states = tf.constant([state % 2**64 for state in states], tf.uint64)
    assert order._split_mix(states).numpy().tolist() == published
    assert [split_mix(int(state)) for state in states] == published


def test_draws_stay_what_stores_were_made_with():
    draws = order.Draws(IDS, seed=3, view=7)
    expected = {
        1: [10, 951, 14, 68, 872, 154],
        3: [626, 842, 633, 260, 723, 632],
        8: [849, 775, 939, 407, 79, 372],
    }
    for draw, values in expected.items():
        assert draws.integers(draw, 1000).numpy().tolist() == values


@pytest.mark.parametrize("seed", [0, 3, 2**31 - 1])
@pytest.mark.parametrize("view", [0, 299, 2**33])
def test_draws_are_those_of_the_hash_by_hand(seed, view):
    draws = order.Draws(IDS, seed=seed, view=view).of("colour")
    names = {1: 1, 10: 10, "hue": order.number_of("colour.hue")}
    for draw, number in names.items():
        high = [
            signed(hashed(seed=seed, draw=number, view=view, example=int(i)))
            >> 32
            for i in IDS
        ]
        for count in (2, 1000, 2**31 - 1):
            expected = [value % count for value in high]
            assert draws.integers(draw, count).numpy().tolist() == expected
        expected = [value % 2**24 / 2**24 for value in high]
        assert draws.fractions(draw).numpy().tolist() == expected


def test_an_epochs_order_stays_what_splits_were_made_with():
    ids = tf.range(10, dtype=tf.int64)
    assert order.epoch_order(ids, seed=3, epoch=7).numpy().tolist() == (
        [6, 2, 5, 8, 9, 7, 3, 0, 1, 4]
    )


def test_an_epochs_order_is_that_of_the_hash_by_hand():
    ids = np.arange(500) * 2**20
    keys = [signed(hashed(seed=5, draw=0, view=9, example=int(i))) for i in ids]
    np.testing.assert_array_equal(
        order.epoch_order(tf.constant(ids), seed=5, epoch=9), np.argsort(keys)
    )


def test_each_purpose_has_a_draw_number_of_its_own():
    modules = [
        importlib.import_module(f"{augmentation.__name__}.{module.name}")
        for module in pkgutil.iter_modules(augmentation.__path__)
    ]
    numbers = [
        number
        for module in (order, *modules)
        for number in getattr(module, "DRAWS", ())
    ]
    assert sorted(numbers) == list(range(15))


def test_numbers_of_names_stay_what_stores_were_made_with():
    assert order.number_of("colour.hue") == 5311863534202277235
    # Never one of the older numbers, nor too large for an int64.
    assert order.number_of("") >= 2**62
    assert order.number_of("colour.hue") + 10**6 < 2**63


def test_names_are_those_of_one_augmentation():
    draws = order.Draws(IDS, seed=0, view=0)
    colour, blur = draws.of("colour"), draws.of("blur")
    assert (colour.fractions("x") != blur.fractions("x")).numpy().all()
    assert (colour.fractions("x") != colour.fractions("y")).numpy().all()
    np.testing.assert_array_equal(
        draws.of("colour").of_view(0).fractions("x"), colour.fractions("x")
    )


def test_several_draws_of_a_name_are_independent():
    ids = tf.range(4000, dtype=tf.int64)
    draws = order.Draws(ids, seed=0, view=0).of("colour")
    several = draws.fractions("x", 3).numpy()
    assert several.shape == (3, 4000)
    np.testing.assert_array_equal(several[0], draws.fractions("x"))
    third = order.number_of("colour.x") + 2
    np.testing.assert_array_equal(several[2], draws.fractions(third))
    assert np.abs(np.corrcoef(several) - np.eye(3)).max() < 0.06


def test_fractions_are_spread_over_the_unit_interval():
    draws = order.Draws(tf.range(4000, dtype=tf.int64), seed=0, view=0)
    fractions = draws.fractions(1).numpy()
    assert fractions.dtype == np.float32
    assert fractions.min() >= 0 and fractions.max() < 1
    counts = np.histogram(fractions, bins=4, range=(0, 1))[0]
    # Standard deviation of a count: sqrt(4000 * 3 / 16) = 27.
    assert np.abs(counts - 1000).max() < 110


def test_draws_of_a_view_are_those_of_its_number():
    ids = tf.range(100, dtype=tf.int64)
    draws = order.Draws(ids, seed=2, view=5)
    np.testing.assert_array_equal(
        draws.of_view(9).integers(3, 100),
        order.Draws(ids, seed=2, view=9).integers(3, 100),
    )


def test_epoch_order_is_a_new_permutation_every_epoch():
    ids = tf.range(1000, dtype=tf.int64)
    orders = [
        order.epoch_order(ids, seed=0, epoch=epoch).numpy() for epoch in (0, 1)
    ]
    for permutation in orders:
        np.testing.assert_array_equal(np.sort(permutation), np.arange(1000))
        # Rank correlation of a random permutation: 0 within 1 / sqrt(1000).
        assert abs(np.corrcoef(permutation, np.arange(1000))[0, 1]) < 0.15
    assert abs(np.corrcoef(*orders)[0, 1]) < 0.15

"""Random numbers and epoch orders."""

import importlib
import pkgutil

import numpy as np
import tensorflow as tf

from kd_keras.data import augmentation, order

IDS = tf.constant([0, 1, 2, 1000, 59_999, 2**40], tf.int64)


def test_draws_stay_what_stores_were_made_with():
    draws = order.Draws(IDS, seed=3, view=7)
    expected = {
        1: [10, 951, 14, 68, 872, 154],
        3: [626, 842, 633, 260, 723, 632],
        8: [849, 775, 939, 407, 79, 372],
    }
    for draw, values in expected.items():
        assert draws.integers(draw, 1000).numpy().tolist() == values


def test_an_epochs_order_stays_what_splits_were_made_with():
    ids = tf.range(10, dtype=tf.int64)
    assert order.epoch_order(ids, seed=3, epoch=7).numpy().tolist() == (
        [6, 2, 5, 8, 9, 7, 3, 0, 1, 4]
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
    assert len(numbers) >= 11
    assert len(numbers) == len(set(numbers))


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

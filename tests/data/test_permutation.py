"""The order of an epoch of more examples than are sorted."""

import numpy as np
import pytest
import tensorflow as tf
from example_sets import numbered

from kd_keras.data import order


def permuted(count, *, seed=3, epoch=0, places=None):
    places = np.arange(count) if places is None else np.asarray(places)
    return order.permuted(places, count=count, seed=seed, epoch=epoch).numpy()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 17, 4096, 4097, 100_000])
def test_every_position_comes_once(count):
    for epoch in (0, 1):
        np.testing.assert_array_equal(
            np.sort(permuted(count, epoch=epoch)), np.arange(count)
        )


def test_a_place_is_looked_up_without_the_others():
    whole = permuted(5000)
    some = [4999, 0, 17]
    np.testing.assert_array_equal(permuted(5000, places=some), whole[some])
    # Also where no array of all positions would fit the memory.
    count = 10**12
    first = permuted(count, places=range(10_000))
    assert len(set(first)) == 10_000 and first.max() < count
    assert first.max() > 0.99 * count and first.min() < 0.01 * count


@pytest.mark.slow
def test_orders_differ_by_seed_and_epoch_and_are_spread():
    orders = [
        permuted(10_000, seed=seed, epoch=epoch)
        for seed in (0, 1)
        for epoch in range(4)
    ]
    for i, one in enumerate(orders):
        for other in orders[:i] + [np.arange(10_000)]:
            # Independent: the standard deviation is 0.01.
            assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
    # Neighbours do not stay neighbours.
    assert abs(np.corrcoef(orders[0][:-1], orders[0][1:])[0, 1]) < 0.05
    # Over many epochs, each part of the set is in first place equally often.
    first = permuted(640, epoch=np.arange(800), places=np.zeros(800, int))
    counts = np.bincount(first // 80, minlength=8)
    # Chi-square of 7 degrees of freedom: below 24.3 in 999 of 1,000 cases.
    assert (((counts - 100) ** 2) / 100).sum() < 24.3


def test_golden_values_of_the_permutation():
    assert permuted(1000, seed=1, epoch=2, places=range(6)).tolist() == [
        30,
        933,
        427,
        479,
        718,
        852,
    ]


@pytest.mark.slow
def test_large_sets_are_permuted_and_small_ones_sorted(monkeypatch):
    examples = numbered(300)

    def ids():
        batches = examples.id_batches(32, labels=False, seed=0, epoch=1)
        return np.concatenate([ids for (ids,) in batches])

    np.testing.assert_array_equal(
        ids(), order.epoch_order(examples.ids, seed=0, epoch=1)
    )
    monkeypatch.setattr(order, "MOST_SORTED", 299)
    np.testing.assert_array_equal(ids(), permuted(300, seed=0, epoch=1))


@pytest.mark.slow
def test_a_graph_gives_the_same_permutation():
    looked_up = tf.function(
        lambda places, epoch: order.permuted(
            places, count=777, seed=3, epoch=epoch
        )
    )
    np.testing.assert_array_equal(
        looked_up(tf.range(777, dtype=tf.int64), tf.constant(5, tf.int64)),
        permuted(777, epoch=5),
    )

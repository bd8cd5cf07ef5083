"""Ids of a store: ranges by arithmetic, others searched in files."""

import types

import numpy as np
import pytest

from kd_keras.store import ids as ids_lib

LIMITS = np.iinfo("int64")


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
@pytest.mark.parametrize(
    "ids, expected",
    [
        ([0, 1, 2, 3, 4, 5], {"start": 0, "step": 1}),
        ([7], {"start": 7, "step": 1}),
        ([-3, 4, 11, 18], {"start": -3, "step": 7}),
        ([0, 1, 2, 3, 4, 6], "sorted"),
        ([0, 1, 3, 4, 5, 6], "sorted"),
        ([0, 1, 2, 4, 3, 5], "unsorted"),
        ([0, 1, 2, 3, 5, 5], "unsorted"),
        ([5, 4, 3], "unsorted"),
        ([5, 5], "unsorted"),
    ],
)
def test_ids_are_described(monkeypatch, chunk, ids, expected):
    monkeypatch.setattr(ids_lib, "_CHUNK", chunk)
    assert ids_lib.described(np.array(ids)) == expected


def test_a_range_is_described_without_its_ids():
    huge = range(5, 3 * 10**15, 3)
    assert ids_lib.described(huge) == {"start": 5, "step": 3}
    assert ids_lib.described(range(3, 0, -1)) == "unsorted"


def positions(ids, *, old):
    """The `Positions` of a part with these ids, and the names of its files."""
    part = {"examples": len(ids), "shard_examples": 500}
    if not old:
        part["ids"] = ids_lib.described(ids)
    manifest = {"parts": {"train": part}}
    stored = ids_lib.arrays("train", manifest, ids)

    def array(name, describe):
        found = stored[name]
        assert describe(name) == (name, found.shape, found.dtype)
        return found

    return ids_lib.Positions(
        "train", manifest, types.SimpleNamespace(array=array)
    ), sorted(stored)


IDS = {
    "counted": np.arange(9),
    "by_steps": np.arange(-4, 20, 3),
    "sorted": np.array([-9, 0, 2, 3, 11]),
    "unsorted": np.array([5, -9, 3, 11, 0]),
}
FILES = {
    "counted": [],
    "by_steps": [],
    "sorted": ["train-ids.npy"],
    "unsorted": ["train-ids-order.npy", "train-ids.npy"],
}


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("old", [False, True])
def test_each_id_is_found_and_no_other(kind, old):
    ids = IDS[kind]
    found, stored = positions(ids, old=old)
    assert stored == (["train-ids.npy"] if old else FILES[kind])
    order = np.random.default_rng(0).permutation(len(ids))
    np.testing.assert_array_equal(found.find(ids[order]), order)
    np.testing.assert_array_equal(found.find(ids[:0]), [])
    others = np.setdiff1d(np.arange(-20, 30), ids)
    for other in (*others, LIMITS.min, LIMITS.max):
        with pytest.raises(
            ValueError, match=rf"ids must be .*'train'.*: {other} and 0 more"
        ):
            found.find(np.array([ids[0], other]))


def test_ids_of_billions_are_found_without_arrays_of_them():
    manifest = {
        "parts": {
            "train": {
                "examples": 10**12,
                "shard_examples": 500,
                "ids": {"start": 7, "step": 10**6},
            }
        }
    }
    found = ids_lib.Positions("train", manifest, files=None)
    last = 7 + (10**12 - 1) * 10**6
    wanted = np.array([last, 7, 7 + 5 * 10**6])
    np.testing.assert_array_equal(found.find(wanted), [10**12 - 1, 0, 5])
    with pytest.raises(ValueError, match=f"{last + 10**6} and 1 more"):
        found.find(np.array([last + 10**6, 7, 8]))

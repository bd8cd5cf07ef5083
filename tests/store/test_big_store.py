"""Stores of very many files, which are sparse."""

import os

import pytest

import kd_keras
from benchmarks import big_store
from kd_keras.store import layout
from kd_keras.store import manifest as manifests

FILES = 10_000


@pytest.fixture
def big(tmp_path, monkeypatch):
    """A store of five million images, and its figures."""
    monkeypatch.setattr(big_store, "CLASSES", 10)
    path = tmp_path / "store"
    return path, big_store.measure(path, FILES * 500, shard_views=500)


@pytest.mark.slow
def test_a_store_of_many_files_is_read_at_random(big):
    path, figures = big
    # The rows that were read are compared there.
    assert figures["files"] == FILES
    assert figures["peak_mb"] - figures["start_mb"] < 300
    manifest = manifests.read(path)
    assert manifest["parts"]["train"]["ids"] == {"start": 0, "step": 1}
    open_files = len(os.listdir("/proc/self/fd"))
    assert open_files < 1000
    last = path / layout.shard_file("train", manifest, FILES - 1)
    last.unlink()
    with pytest.raises(ValueError, match="09999-of-10000.npy, which is miss"):
        kd_keras.LogitStore.open(path)


def test_a_plan_of_a_billion_images_takes_neither_time_nor_memory():
    manifest = big_store.plan(10**9)
    assert manifest["parts"]["train"] == {
        "fingerprint": "on paper",
        "examples": 10**9,
        "views": 1,
        "shard_examples": 50_000,
        "ids": {"start": 0, "step": 1},
    }
    assert layout.num_shards("train", manifest) == 20_000

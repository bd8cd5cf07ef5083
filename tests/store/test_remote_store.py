"""A store in an object store is copied to local disk, whole and checked."""

import numpy as np
import pytest
from object_store import STORE, put_tree

import kd_keras
from kd_keras.store import manifest


def test_a_remote_store_is_the_local_one(written, parts, bucket):
    put_tree(f"{bucket}/digits/store", written)
    opened = kd_keras.LogitStore.open(f"{bucket}/digits/store")
    local = kd_keras.LogitStore.open(written)
    ids = parts["train"].ids[::100]
    np.testing.assert_array_equal(opened.logits(ids), local.logits(ids))
    STORE.done.clear()
    kd_keras.LogitStore.open(f"{bucket}/digits/store")
    assert not [path for kind, path in STORE.done if kind == "get"]


def test_a_store_without_its_manifest_is_not_copied(written, bucket):
    put_tree(f"{bucket}/store", written)
    del STORE.objects[f"bucket/store/{manifest.NAME}"]
    with pytest.raises(ValueError, match="store.path must have manifest.json"):
        kd_keras.LogitStore.open(f"{bucket}/store")
    with pytest.raises(FileNotFoundError, match="store.path must exist"):
        kd_keras.LogitStore.open(f"{bucket}/none")
    assert not [path for kind, path in STORE.done if kind == "get"]


def test_a_damaged_object_is_refused(written, parts, bucket):
    put_tree(f"{bucket}/store", written)
    path = next(
        path for path in STORE.objects if "train-0" in path and "of" in path
    )
    contents = bytearray(STORE.objects[path][0])
    contents[-1] ^= 1
    STORE.write(path, contents)
    with pytest.raises(ValueError, match="is damaged"):
        opened = kd_keras.LogitStore.open(f"{bucket}/store")
        opened.logits(parts["train"].ids)

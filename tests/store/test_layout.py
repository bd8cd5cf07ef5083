"""The files of a store: their names, and how much they hold."""

import numpy as np
import pytest
import stores

from kd_keras import config
from kd_keras.data import datasets
from kd_keras.store import layout, records


@pytest.mark.parametrize(
    "count, views, shard_views, row_bytes, expected",
    [
        # As many files as wanted, of whole batches.
        (1200, 3, 1500, 20, 500),
        (10_000, 1, 2000, 20, 2000),
        (10_000, 1, 10**9, 20, 10_000),
        # There may be many of them.
        (10**9, 1, 50_000, 2000, 50_000),
        (1_280_000, 300, 50_000, 2000, 500),
        # Not chosen: 5,000 views, or more such that the files stay open.
        (1200, 3, 0, 20, 1500),
        (50_000, 10, 0, 20, 500),
        (50_000, 40, 0, 20, 500),
        (10**6, 10, 0, 20, 8000),
        # Large rows: files of about 256 MB, 131 views of 2 MB.
        (10**6, 1, 10**9, 2**21, 500),
        (10**6, 1, 10**9, 2**16, 4500),
        # A batch of 500 examples of 10 views of 2 MB would be 10 GB.
        (10**6, 10, 50_000, 2**21, 51),
        (10**6, 10**4, 50_000, 2**21, 1),
    ],
)
def test_files_hold_so_many_examples(
    count, views, shard_views, row_bytes, expected
):
    assert expected == layout.shard_examples(
        count, views=views, shard_views=shard_views, row_bytes=row_bytes
    )


def test_by_default_several_processes_have_as_much_to_do():
    fields = config.default_config().store
    # Of CIFAR-10.
    counts = [
        count
        // layout.shard_examples(
            count, views=1, shard_views=fields.shard_views, row_bytes=20
        )
        for count in (50_000, 10_000)
    ]
    assert counts == [10, 2]


def test_a_file_is_of_bounded_size():
    examples = datasets.Examples(np.zeros((5000, 1, 1, 1), "uint8"))
    for views in (1, 30, 300):
        manifest = stores.plan(
            {"train": examples},
            views_count=views,
            features=[{"teacher": "", "shape": [7, 7, 1280]}],
            shard_views=10**9,
        )
        size = manifest["parts"]["train"]["shard_examples"]
        (_, feature) = records.arrays(manifest)
        assert size * views * feature.row_dtype.itemsize <= 2**30
        assert layout.batch_size("train", manifest) == min(size, 500)


def test_the_names_of_the_files():
    manifest = {
        "num_classes": 3,
        "features": [{}],
        "parts": {
            "train": {"examples": 5, "shard_examples": 2, "ids": "unsorted"},
            "test": {
                "examples": 250_000,
                "shard_examples": 2,
                "ids": {"start": 0, "step": 1},
            },
        },
    }
    names = layout.all_files(manifest)
    assert names[:5] == [
        "train-ids.npy",
        "train-ids-order.npy",
        "train-00000-of-00003.npy",
        "train-00001-of-00003.npy",
        "train-00002-of-00003.npy",
    ]
    assert names[5] == "train-feature0-00000-of-00003.npy"
    assert names[-1] == "test-feature0-124999-of-125000.npy"
    assert len(names) == len(set(names)) == 2 + 2 * 3 + 2 * 125_000
    assert layout.shard_size("train", manifest, 2) == 1

"""A teacher, examples and their store, for all tests of the room."""

import keras
import nets
import numpy as np
import pytest
import stores

from kd_keras.data import datasets


@pytest.fixture(scope="session")
def teacher():
    keras.utils.set_random_seed(3)
    return nets.make_network(units=32)


@pytest.fixture(scope="session")
def parts():
    images = nets.make_images(1300).astype("uint8")
    examples = datasets.Examples(images)
    # Ids with gaps, like the ids of a split.
    return {
        "train": examples.subset(np.arange(0, 1200) + (np.arange(1200) > 600)),
        "test": examples.subset(np.arange(1250, 1300)),
    }


@pytest.fixture(scope="session")
def written(tmp_path_factory, parts, teacher):
    path = tmp_path_factory.mktemp("store")
    assert stores.write(path, parts, teacher)
    return path


@pytest.fixture(scope="session")
def with_features(tmp_path_factory, parts, teacher):
    """A float16 store of logits and two features."""
    path = tmp_path_factory.mktemp("features")
    assert stores.write(
        path,
        parts,
        stores.with_features(teacher),
        features=stores.FEATURES,
        dtype="float16",
    )
    return path

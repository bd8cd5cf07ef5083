"""Set-up of the whole suite: two logical CPU devices, no GPU, quiet."""

import collections
import functools
import gc
import os

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# The networks are tiny, and there is a process a core.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import numpy as np
import pytest


def pytest_xdist_auto_num_workers():
    # One more than cores: some tests wait for processes of their own.
    return (os.cpu_count() or 1) + 1


def pytest_collectstart():
    # There is hardly any garbage until the tests run.
    gc.disable()
    # Not in the process that hands out the tests: it needs no TensorFlow.
    _make_two_devices()


@functools.cache
def _make_two_devices():
    """Lets a MirroredStrategy of two be tried; before any operation."""
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )


def pytest_collection_modifyitems(items):
    # Files with the most slow tests first, so that all processes end together.
    slow = collections.Counter(
        item.path for item in items if item.get_closest_marker("slow")
    )
    items.sort(key=lambda item: -slow[item.path])


def pytest_collection_finish():
    # A search for garbage in TensorFlow's and Keras's objects takes 0.3 s.
    gc.collect()
    gc.freeze()
    gc.enable()
    # At the usual threshold, it takes a twentieth of the time of all tests.
    gc.set_threshold(10_000)


@pytest.fixture(autouse=True)
def seeded():
    import keras

    keras.utils.set_random_seed(0)
    yield
    keras.mixed_precision.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def mnist():
    """MNIST from the package: `datasets.Dataset`."""
    from kd_keras.data import sources

    return sources.load_dataset("mnist")


@pytest.fixture(scope="session")
def digits(mnist):
    """512 real digits, for tests that train a little: `Examples`."""
    return mnist.train.subset(np.arange(512))


@pytest.fixture(scope="session")
def small_mnist(mnist):
    """The first 500 and 300 digits: `datasets.Dataset`."""
    import example_sets

    return example_sets.first_digits(mnist, train=500, test=300)


@pytest.fixture
def own_cache(monkeypatch, tmp_path_factory):
    """Replaces the user's cache directory by one of the test's own."""
    from kd_keras.utils import file_cache

    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(
        file_cache.platformdirs, "user_cache_path", lambda name: cache
    )
    return cache


@pytest.fixture
def bucket(own_cache):
    """URL of an empty bucket in memory, with a cache directory of its own."""
    import object_store

    object_store.STORE.clear()
    yield object_store.BUCKET
    object_store.STORE.clear()


@pytest.fixture
def threads_asked(monkeypatch):
    """A list of whether several threads were asked for, call by call."""
    from kd_keras.utils import threads

    asked, for_each = [], threads.for_each

    def recorded(function, count, *, parallel):
        asked.append(parallel)
        for_each(function, count, parallel=parallel)

    monkeypatch.setattr(threads, "for_each", recorded)
    return asked

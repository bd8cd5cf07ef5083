"""The table of sources, and MNIST from the package."""

import gzip

import pytest
from example_sets import single_valued

from kd_keras import config
from kd_keras.data import sources
from kd_keras.data.sources import mnist as mnist_source
from kd_keras.utils import digests


def test_mnist_in_the_package_is_the_original(mnist):
    folder = mnist_source.FOLDER
    licence = (folder / "LICENSE.md").read_text()
    for file in folder.glob("*.gz"):
        digest = digests.sha256(gzip.decompress(file.read_bytes()))
        assert f"{digest}  {file.stem}" in licence
    assert mnist.train.images.shape == (60000, 28, 28, 1)
    assert mnist.test.images.shape == (10000, 28, 28, 1)
    assert mnist.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def test_the_fingerprint_of_mnist_stays_what_stores_were_made_with(mnist):
    assert mnist.train.fingerprint == (
        "5814dea63b768ddc5fe7fef5bb5877f3e9dfad94732e9cb4bce8ec4608c5082a"
    )


def test_a_name_alone_is_loaded_with_the_default_fields(mnist):
    dataset = sources.load_dataset("mnist")
    assert dataset.name == "mnist"
    assert dataset.train.fingerprint == mnist.train.fingerprint


@pytest.mark.slow
def test_the_error_for_an_unknown_name_lists_the_sources(tmp_path):
    fields = config.default_config().data
    fields.update(name="no_such_set", data_dir=str(tmp_path))
    with pytest.raises(ValueError, match="mnist, folder.*: 'no_such_set'"):
        sources.load_dataset(fields)
    fields.name = "mnits"
    with pytest.raises(ValueError, match="Did you mean 'mnist'?"):
        sources.load_dataset(fields)


def test_names_with_a_plus_between_are_joined(monkeypatch):
    def load(fields):
        return single_valued(fields.name, class_names="xy", side=28)

    monkeypatch.setattr(sources.tfds, "load", load)
    joined = sources.load_dataset("mnist+other")
    assert joined.name == "mnist+other"
    assert len(joined.train) == 60_006
    assert joined.class_names[8:] == ["8", "9", "x", "y"]

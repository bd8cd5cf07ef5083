"""Keras files that would take a large memory are refused unread."""

import io
import zipfile

import h5py
import nets
import pytest

from kd_keras.teachers import fingerprint, loading
from kd_keras.utils import archives

READERS = [
    loading.load_teacher,
    loading.network_weights,
    fingerprint.fingerprint,
]


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Names and contents of the parts of a `.keras` file."""
    path = tmp_path_factory.mktemp("keras") / "network.keras"
    nets.make_network().save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)
    return path


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5", "more"])
@pytest.mark.parametrize("read", READERS)
def test_a_part_that_unpacks_to_too_much(
    tmp_path, members, monkeypatch, read, member
):
    monkeypatch.setattr(archives, "_SMALL_BYTES", 10**6)
    path = tmp_path / "bomb.keras"
    write(path, members | {member: bytes(2 * 10**6)})
    with pytest.raises(ValueError, match="unpack to at most 1,000,000"):
        read(path)


def without_stored_weights(file):
    """Replaces an array by one of 4 GB, which HDF5 fills with zeros."""
    names = []
    file.visit(names.append)
    name = next(n for n in names if isinstance(file[n], h5py.Dataset))
    del file[name]
    file.create_dataset(name, (2**20, 2**10), "float32", chunks=(64, 64))


@pytest.mark.parametrize("read", READERS)
def test_weights_that_are_not_stored(tmp_path, members, read):
    contents = io.BytesIO(members["model.weights.h5"])
    with h5py.File(contents, "r+") as file:
        without_stored_weights(file)
    path = tmp_path / "bomb.keras"
    write(path, members | {"model.weights.h5": contents.getvalue()})
    with pytest.raises(ValueError, match="unpacks to 4,294,9.* bytes"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_weights_that_a_legacy_file_does_not_store(tmp_path, read):
    path = tmp_path / "bomb.h5"
    nets.make_network().save(path)
    with h5py.File(path, "r+") as file:
        without_stored_weights(file)
    with pytest.raises(ValueError, match="unpacks to 4,294,9.* bytes"):
        read(path)

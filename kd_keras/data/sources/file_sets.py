"""Makes datasets of image files, which a folder or a table lists."""

import numpy as np
import tensorflow as tf

from kd_keras.data import datasets, decoding, scanning, splits
from kd_keras.data.sources import file_reader, images
from kd_keras.utils import files

# Names of folders and splits that hold a part of a set, in lower case.
PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def scan(listings, fields):
    """Reads the headers of all parts of a set.

    Args:
        listings: dict of `train` and others to `scanning.Listing`.
        fields: `config.data`. Files that cannot be read are left out where
            `on_error` is "skip".

    Returns:
        Dict of the same to `scanning.Scan`.

    Raises:
        ValueError: if there are files that cannot be read, or no images.
    """
    scans = {part: scanning.scan(listing) for part, listing in listings.items()}
    scanning.check_readable(
        list(scans.values()), skip=fields.on_error == "skip"
    )
    for part, scan in scans.items():
        scanning.log_summary(part, scan)
        scanning.log_conversions(part, scan, fields.channels)
    _check_any(scans)
    return scans


def load(scans, class_names, fields, *, name, source):
    """Makes a dataset of the images that were found.

    Args:
        scans: dict of `train` and, as far as they exist, `validation` and
            `test` to `scanning.Scan`.
        class_names: list of str; empty without labels.
        fields: `config.data`. `image_size` is the side that images are
            resized to; 0 keeps them as they are, and then they must have one
            size. A set larger than `memory_limit_mb` is read in every epoch.
            `test_fraction` of the training images with labels are the test
            images of a set that has none.
        name, source: as of `datasets.Dataset`.

    Returns:
        `datasets.Dataset`.

    Raises:
        ValueError: if the images have several sizes, a class has none to
            train on, or images that are read into memory are damaged.
    """
    if class_names:
        _log_classes(scans, class_names)
        _check_no_empty_class(scans["train"], class_names)
    shape = _shape(scans, fields)
    parts = _read(scans, shape, class_names, fields)
    if class_names and "test" not in parts:
        parts["train"], parts["test"] = splits.split_off(
            parts["train"], fields.test_fraction, field="data.test_fraction"
        )
    return datasets.Dataset(
        name=name,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        source=source,
        class_names=class_names or None,
    )


def _log_classes(scans, class_names):
    for part, scan in scans.items():
        scanning.log_classes(part, scan, class_names)


def _check_any(scans):
    """Raises a ValueError if a part has no images."""
    for part, scan in scans.items():
        if not len(scan):
            raise ValueError(
                "a folder or a table must have images. Received: none to be "
                f"used for {part} in {scan.place}"
            )


def _check_no_empty_class(scan, class_names):
    """Raises a ValueError if there is no image of a class to train on."""
    counts = np.bincount(scan.groups, minlength=len(class_names))
    empty = [name for name, count in zip(class_names, counts) if not count]
    if empty:
        raise ValueError(
            "every class must have images to train on: add some, or remove "
            f"the class. Received: {scan.place} with none in "
            f"{files.named(empty)}"
        )


def _shape(scans, fields):
    """The `(height, width, channels)` that all images will have."""
    first = scans["train"].headers[0]
    shape = (int(first["height"]), int(first["width"]), fields.channels)
    if fields.image_size:
        return decoding.shape_of(fields, shape)
    for scan in scans.values():
        differs = (scan.headers["height"] != first["height"]) | (
            scan.headers["width"] != first["width"]
        )
        if differs.any():
            row = int(np.argmax(differs))
            height, width = (
                scan.headers[row]["height"],
                scan.headers[row]["width"],
            )
            raise ValueError(
                "images of several sizes need one to be resized to: set "
                "data.image_size, such as data.image_size=96. Received: "
                f"{first['height']} x {first['width']} in the first image, "
                f"{height} x {width} in {scan.paths[row]}"
            )
    return shape


def _read(scans, shape, class_names, fields):
    """The examples of each part, in memory if they are small.

    Raises:
        ValueError: if images that are read into memory are damaged, with a
            list of all, unless `fields` leaves them out.
    """
    parts, mended = {}, {}
    for part, scan in scans.items():
        reader = file_reader.FileReader(
            scan.paths, decoding.of(fields, shape), place=scan.place
        )
        examples = datasets.Examples(
            reader,
            scan.groups if class_names else None,
            num_classes=len(class_names) or None,
        )
        try:
            parts[part] = images.in_memory_if_small(
                examples, fields.memory_limit_mb
            )
        except (tf.errors.InvalidArgumentError, ValueError):
            mended[part] = scan.without(reader.find_damaged())
            if not mended[part].failures:
                raise
    if not mended:
        return parts
    scanning.check_readable(
        list(mended.values()), skip=fields.on_error == "skip"
    )
    for part, scan in mended.items():
        scanning.log_damaged(part, scan)
    scans = scans | mended
    _check_any(scans)
    if class_names:
        _log_classes(mended, class_names)
        _check_no_empty_class(scans["train"], class_names)
    return _read(scans, shape, class_names, fields)

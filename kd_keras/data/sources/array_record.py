"""ArrayRecord files in a folder, as TensorFlow Datasets writes them."""

import pathlib
import re

import tensorflow as tf

from kd_keras.data.sources import copied, encoded, record_files, tfds
from kd_keras.data.sources.file_sets import PARTS
from kd_keras.utils import files

_IMAGE, _LABEL = "image", "label"
_CLASSES = "label.labels.txt"
_MARK = re.compile("array_?record", re.IGNORECASE)


def load(fields):
    """Loads a folder of ArrayRecord files.

    It is either a folder that TensorFlow Datasets has prepared, with a
    `features.json`; or one of files whose names hold `array_record` and a
    split, such as `train.array_record` or
    `flowers-test.array_record-00000-of-00004`. Each record is then a
    `tf.train.Example` with an encoded image, `image`, and a class number from
    0, `label`. The names of the classes may lie beside them, in the lines of
    `label.labels.txt`. Files without a split in their names are for training.

    Args:
        fields: `config.data`. `data_dir` is the folder, `image_column` and
            `label_column` are other names of the two features.

    Returns:
        `datasets.Dataset`.

    Raises:
        ValueError: if there are no such files, one of them is cut short, or a
            record is of another form.
    """
    folder = pathlib.Path(copied.folders(fields.data_dir))
    if (folder / "features.json").exists():
        builder = tfds.builder_of_folder(folder)
        return tfds.prepared(
            builder,
            fields,
            name=builder.name,
            source=f"records in {fields.data_dir}",
        )
    records = {
        split: record_files.Records(paths)
        for split, paths in _paths(folder).items()
    }
    image_key = fields.image_column or _IMAGE
    label_key = fields.label_column or _LABEL
    labels = {}
    for split, part in records.items():
        names = _features(part)
        _check_has(part, names, image_key, "data.image_column")
        if fields.label_column:
            _check_has(part, names, label_key, "data.label_column")
        labelled = label_key in names and fields.labels != "none"
        labels[split] = part.labels(label_key) if labelled else None
    return encoded.dataset(
        records,
        labels,
        fields=fields,
        name=folder.name,
        source=f"records in {fields.data_dir}",
        class_names=_class_names(folder),
        parse=lambda x: record_files.parse(x, image_key, tf.string),
    )


def _paths(folder):
    """The files of each split, in the order of their names: dict of lists."""
    found = sorted(
        path
        for path in (folder.rglob("*") if folder.is_dir() else [])
        if _MARK.search(path.name) and path.is_file()
    )
    by_split = {}
    for path in found:
        words = re.findall("[a-z]+", str(path.relative_to(folder)).lower())
        split = next((PARTS[word] for word in words if word in PARTS), "")
        by_split.setdefault(split, []).append(str(path))
    if not found or ("" in by_split and len(by_split) > 1):
        received = by_split.get("", [str(folder)])[0]
        raise ValueError(
            "data.data_dir must be a folder of ArrayRecord files, named "
            "train.array_record and test.array_record or alike. Received: "
            f"{received}" + ("" if found else ", without such files")
        )
    return {split or "train": paths for split, paths in by_split.items()}


def _features(records):
    """The names of the features in the first record: list of str."""
    if not len(records):
        raise ValueError(
            "a record file must have records. Received: none in "
            + ", ".join(records.paths)
        )
    try:
        example = tf.train.Example.FromString(records.read([0])[0])
    except Exception as error:
        # The library raises an error class of its own.
        raise ValueError(
            "every record must be a tf.train.Example. Received: "
            f"{records.name(0)} ({error})"
        ) from error
    return sorted(example.features.feature)


def _check_has(records, names, key, field):
    if key not in names:
        raise ValueError(
            f"{field} must name a feature of the records. Received: {key!r}, "
            f"{records.name(0)} with {files.named(names) or 'none'}"
        )


def _class_names(folder):
    path = folder / _CLASSES
    if not path.exists():
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            "names of classes must be printable UTF-8 text. Received: "
            f"{path}: {error}"
        ) from error
    return [line.strip() for line in lines if line.strip()]

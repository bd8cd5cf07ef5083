"""Datasets of Hugging Face, from a folder of `save_to_disk`."""

import pathlib

import numpy as np

from kd_keras.data.sources import copied, encoded
from kd_keras.data.sources import features as features_lib
from kd_keras.utils import digests, file_digests, packages

# The name of the only split of a folder that holds no `DatasetDict`.
_TRAIN = "train"


class Rows:
    """The images of a split, encoded, by row.

    Several threads may read at once.

    Args:
        table: `datasets.Dataset` that was loaded from a folder.
        column: str, its column of images.
    """

    def __init__(self, table, column):
        self._files = [entry["filename"] for entry in table.cache_files]
        self._images = table.select_columns([column]).with_format("arrow")
        self._column = column

    def __len__(self):
        return len(self._images)

    def read(self, ids):
        """Reads encoded images.

        Args:
            ids: int array `(n,)`.

        Returns:
            List of n bytes.

        Raises:
            ValueError: if a row has no image.
        """
        rows = self._images[np.asarray(ids)][self._column].combine_chunks()
        contents = rows.field("bytes").to_pylist()
        for i, row in enumerate(contents):
            if row is None:
                contents[i] = self._read_file(rows[i].as_py(), ids[i])
        return contents

    def name(self, i):
        """Names a row for a message: `row 17 of FOLDER`."""
        return f"row {i} of {pathlib.Path(self._files[0]).parent}"

    @property
    def digest(self):
        """SHA-256 of the contents of all files."""
        contents = file_digests.sha256_of_files(self._files)
        return digests.sha256_of_text("\n".join(contents))

    def _read_file(self, row, i):
        """Reads the file of an image that is stored by its path."""
        if row is None or not row["path"]:
            raise ValueError(
                "every row must have an image. Received: none in "
                + self.name(i)
            )
        return pathlib.Path(row["path"]).read_bytes()


def load(fields):
    """Loads a folder that `save_to_disk` of `datasets` has written.

    The images are the column with the feature `Image`. The labels are the
    column with the feature `ClassLabel`, or a column `label` of whole numbers.
    Without labels, the images are a transfer set.

    Args:
        fields: `config.data`. `data_dir` is the folder, of a `DatasetDict`
            with the split `train`, or of one `Dataset`. `image_column` and
            `label_column` name the columns where there are several.

    Returns:
        `datasets.Dataset`.

    Raises:
        ValueError: if the folder is of another kind or damaged, or its
            columns are of another kind.
    """
    tables = _open(copied.folders(fields.data_dir))
    features = tables.get(_TRAIN, next(iter(tables.values()))).features
    image_column, label_column = _columns(features, fields)
    rows = {split: Rows(table, image_column) for split, table in tables.items()}
    labels = {split: _labels(t, label_column) for split, t in tables.items()}
    return encoded.dataset(
        rows,
        labels,
        fields=fields,
        name=pathlib.Path(fields.data_dir).name,
        source=f"Hugging Face dataset {fields.data_dir}",
        class_names=getattr(features.get(label_column), "names", None),
    )


def _open(folder):
    """Opens a folder: dict of splits, `datasets.Dataset` each."""
    # Its own name: `datasets` is also a module of this package.
    library = packages.optional("datasets", extra="hugging_face")
    try:
        found = library.load_from_disk(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if not list(pathlib.Path(folder).rglob("state.json")):
            raise ValueError(
                "data.data_dir must be a folder that save_to_disk of Hugging "
                f"Face datasets has written. Received: {folder!r}"
            ) from error
        raise _damaged(folder, error) from error
    return found if isinstance(found, dict) else {_TRAIN: found}


def _damaged(folder, error):
    """The error about a damaged folder, with the file if that is known."""
    import pyarrow

    what = folder
    for path in sorted(pathlib.Path(folder).rglob("*.arrow")):
        try:
            with pyarrow.memory_map(str(path)) as mapped:
                pyarrow.ipc.open_stream(mapped).read_all()
        except (OSError, ValueError) as damage:
            what, error = path, damage
            break
    return ValueError(
        "a folder of save_to_disk must be whole. Received: "
        f"{what} ({error}); save it again"
    )


def _columns(features, fields):
    """Finds the columns `(images, labels)`: names, None for no labels."""
    # Its own name, as in `_open`.
    import datasets as library

    images = _of_kind(features, library.Image)
    classes = _of_kind(features, library.ClassLabel)
    numbers = [
        name
        for name in _of_kind(features, library.Value)
        if np.dtype(features[name].pa_type.to_pandas_dtype()).kind in "iub"
    ]
    what = f"{fields.data_dir} with {features!r}"
    image_column = features_lib.choose(
        "data.image_column",
        fields.image_column,
        obvious=[[name for name in images if name == "image"], images],
        possible=images,
        what=what,
        kind="an Image (dataset.cast_column(name, Image()) makes one)",
    )
    labels = [name for name in classes + numbers if name == "label"]
    if fields.labels == "none" or not (fields.label_column or labels + classes):
        return image_column, None
    label_column = features_lib.choose(
        "data.label_column",
        fields.label_column,
        obvious=[labels, classes],
        possible=classes + numbers,
        what=what,
        kind="a ClassLabel or whole numbers (dataset.class_encode_column(name) "
        "makes one)",
    )
    return image_column, label_column


def _of_kind(features, kind):
    return [n for n, feature in features.items() if isinstance(feature, kind)]


def _labels(table, column):
    """The labels of a split: int array `(n,)`, or None without a column."""
    if column is None:
        return None
    labels = table.data.column(column)
    if labels.null_count:
        raise ValueError(
            f"every row must have a label. Received: {labels.null_count} rows "
            f"of {table.cache_files[0]['filename']} without {column!r}"
        )
    return labels.to_numpy()

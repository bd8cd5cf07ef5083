"""Predictions of a file, as the outputs of a teacher."""

import dataclasses

import numpy as np
import tensorflow as tf

from kd_keras.store import matching, prediction_files
from kd_keras.teachers import class_map
from kd_keras.teachers import options as teacher_options
from kd_keras.teachers import teacher as teachers

# Arrays of logits that are recognised by their names, and their meanings; None
# where `teacher.outputs` tells the meaning.
_LOGITS = {
    "logits": "logits",
    "probabilities": "probabilities",
    "probs": "probabilities",
    "label_probabilities": "label_probabilities",
    prediction_files.UNNAMED: None,
}
_FEATURES = ("features", "embeddings", "embedding")
# Predictions have no maps, but one vector for an image.
LAST_FEATURES = {"teacher": "", "pool": "average"}
_VECTORS = ("average", "none")
_CHUNK = 4096
# APIs round probabilities.
_SUM_TOLERANCE = 0.02


@dataclasses.dataclass(frozen=True)
class Choice:
    """Choice of the arrays of a file that are stored.

    Attributes:
        logits: str, the name of the array of logits, or None.
        meaning: str, one of `teachers.options.MEANINGS`.
        features: dict of names of arrays to their entries in the manifest,
            without the shape.
    """

    logits: str | None
    meaning: str
    features: dict

    @property
    def names(self):
        return [*([self.logits] if self.logits else []), *self.features]

    def record(self):
        """The arrays of the file and their meaning: dict of JSON values."""
        return {"predictions": self.names, "outputs": self.meaning}


class Predictions:
    """The predictions of a file for the examples of a dataset.

    Args:
        file: `prediction_files.PredictionFile`.
        parts: dict of `train` and perhaps `validation` and `test` to their
            examples.
        outputs: str, as `teacher.outputs`.
        features: list of dicts, the features that a student learns from, as
            entries of a manifest without the shape; see `Choice`.
        classes: `class_map.ClassMap` of the predicted classes, or None.

    Attributes:
        parts: dict of those parts that have predictions.
        choice: `Choice`.
        views: int, how many views of each training example are predicted.
        plain: bool, whether the views are the images without augmentation.
        num_classes: int, 0 without logits.
        features: list of entries for `manifest.plan`.
        class_names: list of str, the classes of the logits as far as the file
            or the class map names them, or None.

    Raises:
        ValueError: if the file lacks the arrays or predictions of some
            training examples, has predictions of unknown examples or several
            of one, or if a number is not finite or no probability.
    """

    def __init__(
        self, file, parts, *, outputs="logits", features=(), classes=None
    ):
        self._file = file
        self._rows = matching.rows_of_parts(file, parts)
        self.parts = {name: parts[name] for name in self._rows}
        arrays = self._rows["train"][0].arrays
        self.choice = _choose(arrays, file.path, outputs, features)
        shapes = {name: arrays[name].shape for name in self.choice.names}
        leading = {shape[:-2] for shape in shapes.values()}
        if len(leading) > 1:
            raise ValueError(
                "predictions must be of the same views. Received: "
                f"{file.path} with {shapes}"
            )
        (views,) = leading
        self.plain = not views
        self.views = views[0] if views else 1
        widths = {name: shape[-1] for name, shape in shapes.items()}
        self.num_classes = widths.get(self.choice.logits, 0)
        self.class_names = file.class_names
        self._columns = None
        if classes is not None:
            self._columns = self._mapped_columns(classes)
            self.num_classes = len(self._columns)
            self.class_names = class_map.names(classes, None)
        self.features = [
            {**record, "shape": [widths[name]]}
            for name, record in self.choice.features.items()
        ]
        for name in self.parts:
            self._check(name, widths)

    def outputs(self, name, positions, batch_size):
        """The predictions of some examples, batch by batch.

        Args:
            name: str, the part.
            positions: int array `(n,)`, the examples' positions in it.
            batch_size: int.

        Yields:
            `(view, arrays)`: float32 logits, if any, then features, each
            `(batch, width)`; all views of a batch, then all of the next.
        """
        table, rows = self._rows[name]
        for start in range(0, len(positions), batch_size):
            chosen = rows[positions[start : start + batch_size]]
            views = self.views if name == "train" else 1
            for view in range(views):
                yield (
                    view,
                    [
                        self._decoded(array, table.arrays[array], view, chosen)
                        for array in self.choice.names
                    ],
                )

    def _mapped_columns(self, classes):
        """The columns of a class map: see `ClassMap.columns`."""
        path = str(self._file.path)
        if self.choice.logits is None:
            raise ValueError(
                "teacher.classes needs predictions of classes. Received: "
                f"{path} with {', '.join(self.choice.names)}"
            )
        activation = teachers.activation_of(
            self.choice.meaning, self.num_classes
        )
        class_map.check_activation(classes, activation, model=path)
        return classes.columns(
            model=path,
            num_classes=self.num_classes,
            names=self._file.class_names,
        )

    def _decoded(self, name, array, view, rows):
        values = _view(array, view)[rows].astype("float32")
        if name != self.choice.logits:
            return values
        logits = teachers.as_logits(tf.constant(values), self.choice.meaning)
        if self._columns is not None:
            logits = class_map.map_logits(logits, self._columns)
        return logits.numpy()

    def _check(self, name, widths):
        """Raises a ValueError if predictions of a part are no numbers."""
        table, rows = self._rows[name]
        for array in self.choice.names:
            values = table.arrays.get(array)
            if values is None or values.shape[-1] != widths[array]:
                raise ValueError(
                    "all parts must have the same predictions. Received: "
                    f"{self._file.path} with {array} of {widths[array]} to "
                    f"train, {'none' if values is None else values.shape[-1]} "
                    f"for {name}"
                )
            is_logits = array == self.choice.logits
            meaning = self.choice.meaning if is_logits else "features"
            self._check_values(name, array, values, np.sort(rows), meaning)

    def _check_values(self, name, array, values, rows, meaning):
        faults = [
            _faults(_view(values, view), rows, meaning)
            for view in range(self.views if values.ndim == 3 else 1)
        ]
        faults = np.concatenate(faults)
        if len(faults):
            raise ValueError(
                f"{_MUST[meaning]}. Received: {self._file.path}, {array} with "
                f"{len(faults):,} others, the first one of "
                f"{self._example(name, faults[0])}"
            )
        if meaning == "logits" and _all_probabilities(values, rows):
            raise ValueError(
                "logits must not be probabilities; "
                "--config.teacher.outputs=probabilities converts them. "
                f"Received: {self._file.path}, {array} with rows from 0 to 1 "
                "that sum to 1"
            )

    def _example(self, name, row):
        table, rows = self._rows[name]
        examples = self.parts[name]
        place = np.flatnonzero(rows == row)[0]
        return matching.named(examples.reader, examples.ids[place])


def _chunks(values, rows):
    """Some rows of an array, a few at a time: `(rows, float32 array)`."""
    for start in range(0, len(rows), _CHUNK):
        chosen = rows[start : start + _CHUNK]
        yield chosen, values[chosen].astype("float32")


def _faults(values, rows, meaning):
    """The rows whose numbers do not fit their meaning."""
    fits = _FITS[meaning]
    faults = [chosen[~fits(x)] for chosen, x in _chunks(values, rows)]
    return np.concatenate(faults)


def _all_probabilities(values, rows):
    values = _view(values, 0)
    return values.shape[-1] > 1 and all(
        _are_probabilities(chunk).all() for _, chunk in _chunks(values, rows)
    )


def _view(array, view):
    return array[view] if array.ndim == 3 else array


def _are_probabilities(values):
    return (
        (values >= 0).all(-1)
        & (values <= 1).all(-1)
        & (np.abs(values.sum(-1) - 1) <= _SUM_TOLERANCE)
    )


def _are_finite(values):
    return np.isfinite(values).all(-1)


def _are_shares(values):
    return ((values >= 0) & (values <= 1)).all(-1)


def _fit_probabilities(values):
    # A single column has the probability of yes.
    return (_are_shares if values.shape[-1] == 1 else _are_probabilities)(
        values
    )


_FITS = {
    "logits": _are_finite,
    "features": _are_finite,
    "probabilities": _fit_probabilities,
    "label_probabilities": _are_shares,
}
_MUST = {
    "logits": "logits must be finite numbers",
    "features": "features must be finite numbers",
    "probabilities": "probabilities must be from 0 to 1 and sum to 1",
    "label_probabilities": "probabilities must be from 0 to 1",
}


def _choose(arrays, path, outputs, features):
    """Chooses the arrays to store: a `Choice`."""
    names = {name.lower(): name for name in reversed(arrays)}
    logits = _logits_array(names, path, outputs)
    chosen = {}
    for record in features or [LAST_FEATURES]:
        if record["pool"] not in _VECTORS:
            raise ValueError(
                "features of --from are a vector for each image, which "
                "distill.features.loss=cosine compares, for instance. "
                f"Received: a loss of {record['pool']}"
            )
        wanted = record["teacher"]
        candidates = [wanted.lower()] if wanted else _FEATURES
        found = [names[name] for name in candidates if name in names]
        if not found and outputs == teacher_options.FEATURES and not wanted:
            found = list(arrays) if len(arrays) == 1 else []
        if found:
            chosen[found[0]] = dict(record)
        elif features:
            raise ValueError(
                "--from must hold the features that the student learns from. "
                f"Received: {path} without {wanted or 'features'}, with "
                f"{', '.join(arrays)}"
            )
    if logits is None and not chosen:
        raise ValueError(
            "--from must hold an array of predictions; "
            "--config.teacher.outputs names the one with the logits. Received: "
            f"{path} with {', '.join(arrays)}"
        )
    meaning = _LOGITS.get(str(logits).lower()) or (
        outputs if outputs in teacher_options.MEANINGS else "logits"
    )
    return Choice(logits, meaning, chosen)


def _logits_array(names, path, outputs):
    """The name of the array of logits, or None."""
    if outputs == teacher_options.FEATURES:
        return None
    if outputs not in teacher_options.MEANINGS:
        # Named by the user.
        if outputs.lower() not in names:
            raise ValueError(
                "teacher.outputs must name an array of --from. Received: "
                f"{outputs!r}, {path} with {', '.join(names.values())}"
            )
        return names[outputs.lower()]
    found = [name for name in (outputs, *_LOGITS) if name in names]
    if not found:
        others = [name for name in names if name not in _FEATURES]
        found = others if len(names) == len(others) == 1 else []
    if not found:
        return None
    told = _LOGITS.get(found[0])
    if told == "logits" != outputs:
        raise ValueError(
            f"teacher.outputs={outputs} needs such predictions. Received: "
            f"{path} with logits"
        )
    return names[found[0]]

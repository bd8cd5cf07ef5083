"""Maps the columns of a teacher's logits to the classes of the data.

Columns are picked, reordered or merged. A teacher of 1,000 classes may teach 7
of them, or 3 classes that each merge several of its own.
"""

import dataclasses

import tensorflow as tf

from kd_keras.models import class_names as class_name_checks
from kd_keras.teachers import class_map_text
from kd_keras.teachers import outputs as outputs_lib
from kd_keras.utils import packages, suggestions

# The same order in Keras, KerasHub, PyTorch and timm.
_NUM_IMAGENET_CLASSES = 1000


@dataclasses.dataclass(frozen=True)
class ClassMap:
    """The columns of a teacher that make each class of the data.

    Attributes:
        groups: tuple with a tuple for each class, in the order of the
            classes: the teacher's columns, as indices or as names.
        names: tuple of str, the names of the classes; None if the map does
            not name them.
        source: str, for messages.
    """

    groups: tuple
    names: tuple | None = None
    source: str = ""

    @property
    def record(self):
        """List of JSON values that identifies the map, whatever its file.

        The names of the classes are left out: they change no logits.
        """
        return [list(group) for group in self.groups]

    def in_order_of(self, names):
        """The map with its classes in the order of the data's.

        Args:
            names: list of str, the classes of the data, or None.

        Returns:
            `ClassMap`.

        Raises:
            ValueError: if the map has other classes than the data.
        """
        if not names:
            return self
        if self.names is None:
            self._check_order(names)
            return self
        self._check_names(names)
        group_of = dict(zip(self.names, self.groups))
        return dataclasses.replace(
            self,
            groups=tuple(group_of[name] for name in names),
            names=tuple(names),
        )

    def _check_names(self, names):
        """Raises a ValueError unless the map has exactly these classes."""
        for name in self.names:
            if name not in names:
                raise ValueError(
                    "teacher.classes must have the classes of the data "
                    f"({class_name_checks.described(names)}). Received: "
                    f"{name!r} in {self.source}."
                    f"{suggestions.did_you_mean(name, names)}"
                )
        missing = [name for name in names if name not in self.names]
        if missing:
            raise ValueError(
                "teacher.classes must cover all classes of the data. "
                f"Received: {self.source} without "
                f"{class_name_checks.described(missing)}"
            )

    def _check_order(self, names):
        """Refuses the names of the data's classes in another order."""
        picked = [entry for group in self.groups for entry in group]
        # Indices are no names, even where the names of classes are numbers.
        if set(picked) == set(names) and len(picked) == len(names):
            class_name_checks.check_same(picked, names, model=self.source)

    def columns(self, *, model, num_classes, names=None):
        """The map with every column as an index.

        Args:
            model: str, the teacher's path, for messages.
            num_classes: int, the teacher's; None if it is unknown.
            names: list of str, the teacher's class names, or None. ImageNet's
                names are tried for a teacher of 1,000 classes.

        Returns:
            List of lists of int.

        Raises:
            ValueError: if the teacher has no such column, or a column is
                used twice.
        """
        entries = [entry for group in self.groups for entry in group]
        named = any(isinstance(entry, str) for entry in entries)
        if named and not names:
            names = _names_of_imagenet(model, num_classes)
        index_of = _Indices(model, num_classes, names or [])
        found = [[index_of(entry) for entry in group] for group in self.groups]
        flat = [index for group in found for index in group]
        twice = [index for index in flat if flat.count(index) > 1]
        if twice:
            raise ValueError(
                "teacher.classes must use each of the teacher's classes at "
                f"most once. Received: {entries[flat.index(twice[0])]!r} "
                f"several times, in {self.source}"
            )
        return found


class _Indices:
    """Finds the index of a teacher's class by its index or name."""

    def __init__(self, model, num_classes, names):
        self._model = model
        self._num_classes = num_classes
        self._names = names

    def __call__(self, entry):
        if isinstance(entry, str):
            return self._index_of_name(entry)
        if self._num_classes is not None and entry >= self._num_classes:
            raise ValueError(
                "teacher.classes: an index must be from 0 to "
                f"{self._num_classes - 1}, the last class of {self._model}. "
                f"Received: {entry}"
            )
        return entry

    def _index_of_name(self, name):
        places = [i for i, known in enumerate(self._names) if known == name]
        if not places:
            spelled = name.replace(" ", "_")
            raise ValueError(
                "teacher.classes: a name must be a class of the teacher "
                f"{self._model} ({class_name_checks.described(self._names)}). "
                f"Received: {name!r}."
                f"{suggestions.did_you_mean(spelled, self._names)}"
            )
        if len(places) > 1:
            raise ValueError(
                f"teacher.classes: {name!r} is the name of several classes of "
                f"the teacher {self._model}; give the index, one of "
                f"{', '.join(map(str, places))}"
            )
        return places[0]


def find(value):
    """Finds a class map.

    Args:
        value: str, as `teacher.classes` has it: indices or names of the
            teacher's classes, separated by commas, with `+` between those
            that are merged; or the path of a JSON file with a list of such
            entries (numbers are indices, strings are names, lists are
            merged) or with an object that has one for each class of the
            data. Empty for none. A `ClassMap` is returned as it is.

    Returns:
        `ClassMap`, or None for an empty text.

    Raises:
        ValueError: if it is no such map, or the file cannot be read.
    """
    if isinstance(value, ClassMap):
        return value
    text = value.strip()
    if not text:
        return None
    groups, class_names = class_map_text.parse(text)
    source = text if class_map_text.is_file(text) else repr(text)
    return ClassMap(groups, class_names, source)


def for_each(text, count):
    """The class maps of the teachers of an ensemble: list of str.

    Args:
        text: str, as `teacher.classes` has it: a map for all, or JSON files,
            one for each teacher, separated by commas.
        count: int, the number of teachers.

    Raises:
        ValueError: if there is another number of files.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1 or not any(map(class_map_text.is_file, parts)):
        return [text] * count
    others = [
        part for part in parts if part and not class_map_text.is_file(part)
    ]
    if len(parts) != count or others:
        raise ValueError(
            f"teacher.classes must be one map, or {count} .json files "
            "separated by commas, one for each teacher; nothing between two "
            "commas is a teacher's own classes. Received: "
            f"{text!r}"
        )
    return parts


def record(value):
    """The entry of a teacher's record for a class map: a dict.

    Args:
        value: as in `find`.
    """
    found = find(value)
    return {"classes": found.record} if found else {}


def names(value, recorded):
    """The classes of a teacher's logits: list of str, or None.

    Args:
        value: as in `find`.
        recorded: list of str, the classes of the model itself, or None.
    """
    found = find(value)
    if found is None:
        return recorded
    return list(found.names) if found.names else None


def _names_of_imagenet(model, num_classes):
    if num_classes != _NUM_IMAGENET_CLASSES:
        raise ValueError(
            "teacher.classes must be indices: the names of the classes of "
            f"{model} are not known"
        )
    hub = packages.optional(
        "keras_hub",
        "keras-hub (names of ImageNet's classes; or give indices)",
        extra="hub",
    )
    return [hub.utils.imagenet_id_to_name(i) for i in range(num_classes)]


def check_activation(value, activation, *, model):
    """Raises a ValueError if sigmoids would be merged.

    Args:
        value: as in `find`.
        activation: `softmax`, `sigmoid` or None, of the teacher's logits.
        model: str, the teacher's path, for the message.
    """
    found = find(value)
    if found is None or activation != "sigmoid":
        return
    if any(len(group) > 1 for group in found.groups):
        raise ValueError(
            "teacher.classes adds the probabilities of softmax; sigmoids are "
            "of classes that may occur together, so that they can be picked "
            f"only. Received: {found.source} for {model}"
        )


def mapped(teacher, value):
    """A teacher with other classes.

    Args:
        teacher: `Teacher`.
        value: as in `find`.

    Returns:
        `Teacher`.

    Raises:
        ValueError: if the teacher lacks one of the classes, or has no logits,
            or sigmoids would be merged.
    """
    found = find(value)
    if found is None:
        return teacher
    if not teacher.has_logits:
        raise ValueError(
            "teacher.classes needs a teacher with logits. Received: "
            f"{teacher.path} with outputs='features'"
        )
    check_activation(found, teacher.outputs_activation, model=teacher.path)
    columns = found.columns(
        model=teacher.path,
        num_classes=teacher.num_classes,
        names=teacher.class_names,
    )

    def function(images):
        outputs = outputs_lib.as_outputs(teacher.function(images))
        logits = map_logits(outputs.logits, columns)
        return outputs_lib.Outputs(logits, outputs.features)

    return teacher.replaced(
        function=function,
        num_classes=len(columns),
        class_names=names(found, None),
    )


def map_logits(logits, columns):
    """Picks and merges columns of logits.

    The logit of a merged class is `log sum_i exp z_i` over its columns. That
    is the logarithm of the sum of their probabilities, up to a shift that is
    the same for all classes of an image, which softmax ignores. So the
    classes have the teacher's probabilities, divided by their sum: the share
    of other classes is left out. A temperature softens the merged
    probabilities, as if the teacher had been trained on the merged classes.
    Merging the softened probabilities of the columns would give other values.

    Args:
        logits: float32 tensor `(batch, teacher's classes)`.
        columns: list of lists of int; see `ClassMap.columns`.

    Returns:
        float32 tensor `(batch, len(columns))`. A class of one column has its
        logits unchanged.
    """
    longest = max(map(len, columns))
    if longest == 1:
        return tf.gather(logits, [index for (index,) in columns], axis=-1)
    # A column of probability 0 fills up the shorter classes.
    nothing = tf.fill([tf.shape(logits)[0], 1], -float("inf"))
    padded = tf.concat([nothing, logits], axis=-1)
    places = [
        [index + 1 for index in group] + [0] * (longest - len(group))
        for group in columns
    ]
    return tf.reduce_logsumexp(tf.gather(padded, places, axis=-1), axis=-1)

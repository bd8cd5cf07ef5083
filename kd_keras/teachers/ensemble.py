"""Several teachers as one, and the files of one or several teachers."""

import dataclasses
import functools
import math

import tensorflow as tf

from kd_keras import config
from kd_keras.models import class_names, image_spec
from kd_keras.teachers import (
    class_map,
    fingerprint,
    image_checks,
    loading,
    outputs,
    trained_on,
    wrapping,
)
from kd_keras.teachers.options import TeacherOptions
from kd_keras.teachers.teacher import Teacher
from kd_keras.utils import suggestions


def combine(members, *, weights=(), mean="arithmetic", activation=None):
    """Combines several teachers into one: the mean of their predictions.

    The logits are the logarithm of the weighted mean of the members'
    probabilities at temperature 1, up to a shift for the geometric mean.
    They are softened like the logits of a single teacher, so the gradient
    does not grow with the number of teachers.

    Args:
        members: list of `Teacher`, with the same number of classes.
        weights: floats > 0, one for each member; equal by default.
        mean: `arithmetic` (the mean of the probabilities) or `geometric` (the
            mean of their logarithms).
        activation: `softmax`, or `sigmoid` for logits that are a yes or no
            each. By default `sigmoid` for one logit, else `softmax`.

    Returns:
        `Teacher`.

    Raises:
        ValueError: if the members differ in their classes, or take images of
            different sizes, or if the weights or `mean` are invalid.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 1
    """
    suggestions.check_choice(mean, config.MEANS, what="mean")
    shares = _shares(weights, len(members))
    counts = [member.num_classes for member in members]
    if len(set(counts)) > 1:
        raise ValueError(
            "teachers that are combined must have the same num_classes; "
            "teacher.classes picks or merges a teacher's. Received: "
            f"{counts}"
        )
    image_shape = _common_image_shape(members)

    known = [member for member in members if member.image_spec]
    for member in known[1:]:
        image_spec.check_same(
            known[0].image_spec,
            member.image_spec,
            model=known[0].path,
            images=f"images of {member.path}",
        )
    names = common_class_names(
        {member.path: member.class_names for member in members}
    )

    def logits(images):
        each = [member(images) for member in members]
        return _mean_logits(
            each, shares=shares, mean=mean, activation=activation
        )

    return Teacher(
        logits,
        path=", ".join(member.path for member in members),
        image_shape=image_shape,
        num_classes=members[0].num_classes,
        image_spec=known[0].image_spec if known else None,
        class_names=names,
        **_preprocessing(members, weights, mean, activation),
    )


def with_mirror_image(teacher, *, mean="arithmetic", activation=None):
    """Makes a teacher that answers the same for an image and its mirror image.

    Its answers are the means of those for both. Maps of features `(batch,
    height, width, channels)` are mirrored back first. Features `(batch,
    channels)` must be pooled; those of a map that was flattened cannot be
    told from them.

    Args:
        teacher: `Teacher`.
        mean, activation: of its predictions; see `combine`.

    Returns:
        `Teacher`.

    Raises:
        ValueError: if it has features of tokens, whose positions are unknown.
    """
    if any(len(shape) == 2 for shape in teacher.feature_shapes):
        raise ValueError(
            "with teacher.mirrored, features must be maps or pooled: the "
            "positions of tokens are unknown; '' names the last pooled ones. "
            "Received: features of shape "
            f"{', '.join(map(str, teacher.feature_shapes))}, {teacher.path}"
        )

    def function(images):
        seen = outputs.as_outputs(teacher.function(images))
        mirrored = teacher.function(tf.reverse(images, [2]))
        mirrored = outputs.as_outputs(mirrored)
        logits = None
        if teacher.has_logits:
            logits = _mean_logits(
                [seen.logits, mirrored.logits],
                shares=(0.5, 0.5),
                mean=mean,
                activation=activation,
            )
        pairs = zip(seen.features, mirrored.features)
        features = ((a + _mirrored_back(b)) / 2 for a, b in pairs)
        return outputs.Outputs(logits, tuple(features))

    def preprocessed_by(name):
        return with_mirror_image(
            teacher.preprocessed_by(name), mean=mean, activation=activation
        )

    return teacher.replaced(
        function=function,
        path=f"{teacher.path} (and mirrored)",
        preprocessed_by=teacher.preprocessed_by and preprocessed_by,
    )


def _mirrored_back(feature):
    return tf.reverse(feature, [2]) if len(feature.shape) == 4 else feature


def _preprocessing(members, weights, mean, activation):
    """Arguments of `Teacher` for the preprocessing that all members share."""
    # Models of other runtimes have none.
    names = {getattr(member, "preprocess", None) for member in members}
    if len(names) > 1 or not all(
        getattr(member, "preprocessed_by", None) for member in members
    ):
        return {}

    def preprocessed_by(name):
        return combine(
            [member.preprocessed_by(name) for member in members],
            weights=weights,
            mean=mean,
            activation=activation,
        )

    return {"preprocess": names.pop(), "preprocessed_by": preprocessed_by}


def _common_image_shape(members):
    """The image shape that all members take; None for axes of any size."""
    shapes = [member.image_shape for member in members]
    known = [shape for shape in shapes if shape]
    grey = next((shape for shape in known if shape[2] == 1), None)
    if grey:
        # The others repeat the channel.
        known = [
            (*shape[:2], 1) if image_checks.is_repeated(grey, shape) else shape
            for shape in known
        ]
    common = []
    for sizes in zip(*known):
        fixed = {size for size in sizes if size is not None}
        if len(fixed) > 1:
            raise ValueError(
                "teachers that are combined must take images of the same "
                "shape, or resize them (teacher.image_size, or a size for "
                f"each in teacher.image_sizes). Received: {shapes}"
            )
        common.append(fixed.pop() if fixed else None)
    return tuple(common) if known else shapes[0]


def common_class_names(names):
    """The class names of several models, which must be the same.

    Args:
        names: dict of paths to lists of str, or to None where the names are
            unknown.

    Returns:
        List of str, or None if all are unknown.

    Raises:
        ValueError: if they differ, or only their order does.
    """
    known = [(path, found) for path, found in names.items() if found]
    for path, found in known[1:]:
        class_names.check_same(
            known[0][1], found, model=known[0][0], data=f"the model {path}"
        )
    return known[0][1] if known else None


def _softmax_logits(shares, mean, logits):
    return _log_mean(shares, mean, list(map(tf.nn.log_softmax, logits)))


def _sigmoid_logits(shares, mean, logits):
    yes = [tf.math.log_sigmoid(x) for x in logits]
    no = [tf.math.log_sigmoid(-tf.convert_to_tensor(x)) for x in logits]
    return _log_mean(shares, mean, yes) - _log_mean(shares, mean, no)


_MEANS_OF = {"softmax": _softmax_logits, "sigmoid": _sigmoid_logits}


def _mean_logits(logits, *, shares, mean, activation):
    """Logits of the mean of predictions; see `combine`."""
    if activation is None:
        activation = "sigmoid" if logits[0].shape[-1] == 1 else "softmax"
    return _MEANS_OF[activation](shares, mean, logits)


def _log_mean(shares, mean, log_probs):
    """Logarithm of the mean of probabilities, or mean of the logarithms."""
    if mean == "geometric":
        return tf.add_n([w * x for w, x in zip(shares, log_probs)])
    return tf.reduce_logsumexp(
        [math.log(w) + x for w, x in zip(shares, log_probs)], axis=0
    )


class TeacherFiles:
    """One or several teachers, identified before they are loaded.

    Args:
        paths: list of paths or names; see `loading.load_teacher`.
        options: list of `TeacherOptions`, one for each path; by default all
            are read as `load_teacher` does.
        weights: tuple of floats; see `combine`.
        mean: str; see `combine`.
        mirrored: bool, whether each teacher's answers are averaged over an
            image and its mirror image, in twice the time.
        activation: `softmax` or `sigmoid`; see `combine`.

    Attributes:
        paths: list of str.
        options: list of `TeacherOptions`.
        activation: str.
        class_names: list of str, the classes that are recorded with the
            models, or None.
        record: dict of JSON values that identifies the teacher.

    Raises:
        FileNotFoundError, ValueError: as `loading.load_teacher`.
    """

    def __init__(
        self,
        paths,
        *,
        options=None,
        weights=(),
        mean="arithmetic",
        mirrored=False,
        activation="softmax",
    ):
        _shares(weights, len(paths))
        self.paths = [str(path) for path in paths]
        self.options = [
            # Reads a file of classes now, before its contents may change.
            dataclasses.replace(one, classes=class_map.find(one.classes) or "")
            for one in options or [TeacherOptions()] * len(paths)
        ]
        self._weights = weights
        self._mean = mean
        self._mirrored = mirrored
        self.activation = activation
        self.class_names = self._find_class_names()
        self.record = {
            "fingerprint": " ".join(map(fingerprint.fingerprint, paths)),
            "graph": " ".join(
                fingerprint.graph_fingerprint(path, one.signature)
                for path, one in zip(paths, self.options)
            ),
            **_together([wrapping.record(one) for one in self.options]),
        }
        if mirrored:
            self.record["mirrored"] = True
        if len(paths) > 1 or mirrored:
            self.record |= {"mean": mean, "weights": list(weights)}
            if activation != "softmax":
                self.record["activation"] = activation

    def _find_class_names(self):
        found = {}
        for path, one in zip(self.paths, self.options):
            class_map.check_activation(one.classes, self.activation, model=path)
            recorded = trained_on.class_names(path)
            found[path] = class_map.names(one.classes, recorded)
        return common_class_names(found)

    @property
    def has_logits(self):
        """Whether the teacher is a classifier."""
        return all(one.has_logits for one in self.options)

    @functools.cached_property
    def teacher(self):
        """The `Teacher`, loaded on first use.

        Raises:
            ValueError: if features of combined predictions are requested.
        """
        if len(self.paths) > 1 and any(one.features for one in self.options):
            raise ValueError(
                "teachers that are combined must have no features to match: "
                "only predictions have a mean. Received: features of "
                f"{', '.join(self.paths)}"
            )
        members = [
            loading.load(path, options, field="teacher.image_size")
            for path, options in zip(self.paths, self.options)
        ]
        if self._mirrored:
            members = [
                with_mirror_image(
                    member, mean=self._mean, activation=self.activation
                )
                for member in members
            ]
        if len(members) == 1:
            return members[0]
        return combine(
            members,
            weights=self._weights,
            mean=self._mean,
            activation=self.activation,
        )


def _together(records):
    """The records of several teachers' options as one: a dict."""
    if all(record == records[0] for record in records):
        return records[0]
    return {"options": records}


def _shares(weights, count):
    """Normalises the weights of `count` teachers to the sum 1."""
    weights = list(weights) or [1.0] * count
    if len(weights) != count or not all(weight > 0 for weight in weights):
        raise ValueError(
            "there must be a weight > 0 for each teacher. Received: "
            f"{weights} for {count} teachers"
        )
    return [weight / sum(weights) for weight in weights]

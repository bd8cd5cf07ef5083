"""Matches features of the student to features of its teacher."""

import keras
import tensorflow as tf

from kd_keras.config import features as config_features
from kd_keras.config import field
from kd_keras.distillation import losses, projections, replicas
from kd_keras.distillation.feature_losses import FEATURE_LOSSES
from kd_keras.models import inner_outputs
from kd_keras.utils import suggestions


@keras.saving.register_keras_serializable(package="kd_keras")
class FeatureMatch:
    """A loss that makes a feature of the student like one of the teacher.

    A feature is an inner output of a network: `(batch, channels)`, `(batch,
    tokens, channels)` or `(batch, height, width, channels)`. By default it is
    the last pooled features, the input of the layer that computes the logits.

    The losses `mse`, `cosine` and `queue_kl` compare channels, so a
    projection, which the Distiller trains with the student, converts the
    student's to the teacher's number. `attention` compares where in a map the
    activations lie, and `relational` the distances and angles between the
    images of a batch: they need no projection. Maps of different size are
    resized to the teacher's.

    Args:
        teacher: str, name of a layer or output of the teacher; empty for the
            last pooled features.
        student: str, the same of the student.
        loss: `mse`, `cosine`, `queue_kl`, `attention` or `relational`.
        weight: float >= 0 of this loss beside the others.
        projection: `none`, `linear` or `orthogonal`.
        pool: `average` over the positions of tokens and maps, or `none`.
            Without effect on `attention`.
        **options: of the loss, such as `queue_size`; see
            `config.features.FEATURE_LOSS_OPTIONS`.

    Raises:
        ValueError: if an argument is not as above.
    """

    def __init__(
        self,
        teacher="",
        student="",
        loss="cosine",
        weight=1.0,
        projection="linear",
        pool="average",
        **options,
    ):
        for name, value, choices in (
            ("loss", loss, config_features.FEATURE_LOSSES),
            ("projection", projection, config_features.PROJECTIONS),
            ("pool", pool, config_features.POOLS),
        ):
            suggestions.check_choice(
                value, choices, what=f"{name} of a FeatureMatch"
            )
        for name, value in (("teacher", teacher), ("student", student)):
            if not isinstance(value, str):
                raise ValueError(
                    f"{name} of a FeatureMatch must be the name of a layer or "
                    f"output. Received: {value!r}"
                )
        _check_number("weight", weight)
        _check_options(loss, options)
        if projection == "orthogonal" and not (
            FEATURE_LOSSES[loss].compares_channels
        ):
            raise ValueError(
                f"projection must be none with the loss {loss}, which "
                f"compares no channels. Received: {projection!r}"
            )
        self.teacher = teacher
        self.student = student
        self.loss = loss
        self.weight = weight
        self.projection = projection
        self.pool = pool
        self.options = options

    def __repr__(self):
        config = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"FeatureMatch({config})"

    def get_config(self):
        return {
            "teacher": self.teacher,
            "student": self.student,
            "loss": self.loss,
            "weight": self.weight,
            "projection": self.projection,
            "pool": self.pool,
            **self.options,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def teacher_target(self, feature):
        """Reduces a feature of the teacher to what the student is to match.

        Args:
            feature: tensor `(batch, ..., channels)`.

        Returns:
            float32 tensor `(batch, channels)` of pooled features, `(batch,
            height, width)` for `attention`, else as the feature.

        Raises:
            ValueError: if the feature has other axes than the loss needs.
        """
        feature = tf.cast(feature, tf.float32)
        self.target_shape(feature.shape[1:])
        reduce = FEATURE_LOSSES[self.loss].reduce
        if reduce is not None:
            return reduce(feature)
        if self.pool == "average":
            return _averages(feature)
        return feature

    def target_record(self):
        """What the teacher's target depends on: a dict of JSON values."""
        reduce = FEATURE_LOSSES[self.loss].reduce
        pool = self.pool if reduce is None else reduce.__name__
        return {"teacher": self.teacher, "pool": pool}

    def target_shape(self, shape):
        """Returns the shape of `teacher_target`, without the batch: a tuple.

        Args:
            shape: sequence of int and None, of the feature without the batch.
        """
        shape = tuple(shape)
        is_map = FEATURE_LOSSES[self.loss].reduce is not None
        if not shape or (is_map and len(shape) != 3):
            needed = "height, width, channels" if is_map else "..., channels"
            raise ValueError(
                f"features for the loss {self.loss} must have the shape "
                f"(batch, {needed}). Received: (batch, "
                f"{', '.join(map(str, shape))}), {self}"
            )
        if is_map:
            return shape[:-1]
        return shape[-1:] if self.pool == "average" else shape


class Matching(keras.layers.Layer):
    """The losses of a list of `FeatureMatch`, with their variables.

    Args:
        matches: list of `FeatureMatch`.
        target_shapes: list of the shapes of the teacher's targets without the
            batch, or None if they are unknown.
    """

    def __init__(self, matches, target_shapes=None):
        super().__init__(name="features", dtype="float32")
        self.matches = matches
        self.target_shapes = target_shapes
        self._student = None
        if target_shapes is not None:
            checked_targets(target_shapes, matches)

    def build_for(self, student, output, teacher, images, targets):
        """Makes projections and states, if all shapes are known.

        Args:
            student: Keras model.
            output: str, int or None, the student's output with the logits.
            teacher: `live.LiveTeacher`, or None.
            images: a batch or its spec, with `shape` and `dtype`, or None.
            targets: tuple of batches of targets or their specs, or None.

        Raises:
            ValueError: if a pair of shapes cannot be matched, or the student
                has no such feature.
        """
        if targets is not None:
            self.target_shapes = [tuple(x.shape)[1:] for x in targets]
        elif self.target_shapes is None and teacher is not None:
            shapes = teacher.feature_shapes or _shapes_of(teacher, images)
            if shapes is not None:
                self.target_shapes = [
                    match.target_shape(shape)
                    for match, shape in zip(self.matches, shapes)
                ]
        image_shape = getattr(images, "shape", None)
        if self.target_shapes is None or not (student.built or image_shape):
            return
        self._student = inner_outputs.with_features(
            student,
            [match.student for match in self.matches],
            output=output,
            image_shape=None if student.built else tuple(image_shape)[1:],
        )
        self.build(self.target_shapes, self._student.shapes)

    def build(self, target_shapes, student_shapes):
        self.pairs = [
            _Pair(match, tuple(target), tuple(shape))
            for match, target, shape in zip(
                self.matches, target_shapes, student_shapes
            )
        ]

    def call_student(self, images, training):
        """What the student returns, and its features, from one call."""
        return self._student(images, training=training)

    def targets_of(self, features):
        """The targets of a teacher's features: tuple of tensors."""
        return tuple(
            match.teacher_target(feature)
            for match, feature in zip(self.matches, features)
        )

    def losses_of(self, targets, features, *, training):
        """The weighted sum of the losses: float32 `(batch,)`.

        Args:
            targets: tuple of tensors, as `FeatureMatch.teacher_target`
                returns them.
            features: tuple of tensors, the student's.
            training: bool; False leaves the states as they are.
        """
        return tf.add_n(
            [
                pair.match.weight * pair.loss_of(target, feature, training)
                for pair, target, feature in zip(self.pairs, targets, features)
            ]
        )


class _Pair(keras.layers.Layer):
    """A `FeatureMatch` for features of known shapes, with its variables."""

    def __init__(self, match, target_shape, feature_shape):
        super().__init__(dtype="float32")
        self.match = match
        self.target_shape = target_shape
        shape = match.target_shape(feature_shape)
        self.projection = self.state = None
        loss = FEATURE_LOSSES[match.loss]
        make = projections.PROJECTIONS[match.projection]
        if loss.compares_channels:
            _check_shapes(match, target_shape, shape)
            if make is not None:
                self.projection = make(target_shape[-1])
                self.projection.build((None, *shape))
        if loss.make_state is not None:
            self.state = loss.make_state(target_shape, **match.options)
        self.built = True

    def loss_of(self, target, feature, training):
        loss = FEATURE_LOSSES[self.match.loss]
        target = self._checked(target)
        # The student's feature is reduced in the same way.
        feature = self.match.teacher_target(feature)
        if loss.compares_channels or loss.reduce is not None:
            feature = _resized(feature, target, loss.reduce is not None)
        if self.projection is not None:
            feature = self.projection(feature)
        inputs = {
            "gather": replicas.gather,
            "batch_sum": replicas.sum_over_batch,
            **self.match.options,
        }
        if self.state is not None:
            if training:
                self.state.update(replicas.gather(target))
            inputs |= self.state.inputs()
        return loss.function(
            teacher_features=target,
            student_features=feature,
            **losses.declared_inputs(loss.function, **inputs),
        )

    def _checked(self, target):
        target = tf.stop_gradient(tf.cast(target, tf.float32))
        if not target.shape[1:].is_compatible_with(self.target_shape):
            raise ValueError(
                "the teacher's features must keep their shape "
                f"{self.target_shape}, without the batch. Received: "
                f"{tuple(target.shape[1:])} for {self.match}"
            )
        return target


def checked(features):
    """Returns a list of `FeatureMatch`.

    Raises:
        ValueError: if it is no list of them.
    """
    matches = list(features) if isinstance(features, (list, tuple)) else None
    if matches is None or not all(
        isinstance(match, FeatureMatch) for match in matches
    ):
        raise ValueError(
            "features must be a list of kd_keras.FeatureMatch. Received: "
            f"{features!r}"
        )
    return matches


def checked_targets(targets, matches):
    """The teacher's targets of a batch, or their shapes: a tuple.

    Raises:
        ValueError: if there is not one for each `FeatureMatch`.
    """
    is_several = isinstance(targets, (list, tuple))
    if not is_several or len(targets) != len(matches):
        raise ValueError(
            "teacher_features must be a tuple with a target for each "
            f"FeatureMatch, {len(matches)}. Received: "
            f"{len(targets) if is_several else type(targets).__name__}"
        )
    return tuple(targets)


def config_of(matching):
    """The part of a Distiller's configuration that tells of features: dict."""
    if matching is None:
        return {}
    return {
        "features": [
            keras.saving.serialize_keras_object(match)
            for match in matching.matches
        ],
        "feature_shapes": matching.target_shapes,
    }


def check_callbacks(matching, callbacks):
    """Raises a ValueError if a callback would lose projections or queues."""
    if matching is None or isinstance(callbacks, keras.callbacks.CallbackList):
        return
    for callback in tf.nest.flatten(callbacks):
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            raise ValueError(
                "callbacks of a Distiller with features must not have "
                "BackupAndRestore, which keeps the student alone: "
                "ModelCheckpoint and keras.models.load_model keep all. "
                f"Received: {callback}"
            )


def _shapes_of(teacher, images):
    """Shapes of the features of one black image, None if it is unknown."""
    shape = tuple(getattr(images, "shape", (None,)))[1:]
    if not shape or None in shape:
        return None
    outputs = teacher(tf.zeros((1, *shape), images.dtype))
    return [tuple(feature.shape[1:]) for feature in outputs.features]


def _averages(feature):
    """Means over all positions: `(batch, channels)`."""
    axes = tuple(range(1, len(feature.shape) - 1))
    return tf.reduce_mean(feature, axis=axes) if axes else feature


def _resized(feature, target, without_channels):
    """Maps of the target's height and width; other features as they are."""
    maps = feature[..., tf.newaxis] if without_channels else feature
    sizes = maps.shape[1:3], target.shape[1:3]
    if len(maps.shape) != 4 or sizes[0] == sizes[1]:
        return feature
    maps = tf.image.resize(maps, tf.shape(target)[1:3], antialias=True)
    return tf.squeeze(maps, axis=-1) if without_channels else maps


def _check_shapes(match, teacher, student):
    """Raises a ValueError if two features cannot be compared."""
    # Tokens have no neighbours to interpolate between.
    same_tokens = len(teacher) != 2 or None in teacher[:1] + student[:1]
    fits = len(teacher) == len(student) and (
        same_tokens or teacher[0] == student[0]
    )
    channels = teacher[-1], student[-1]
    if not fits:
        remedy = "take pool='average', or other layers"
    elif None in channels:
        fits, remedy = False, "the number of channels must be known"
    elif match.projection == "none" and channels[0] != channels[1]:
        fits, remedy = False, "take projection='linear'"
    if not fits:
        raise ValueError(
            "features that are matched must have shapes that fit: "
            f"{remedy}. Received: (batch, {_listed(teacher)}) of the teacher "
            f"and (batch, {_listed(student)}) of the student for {match}"
        )


def _listed(shape):
    return ", ".join(map(str, shape))


def _check_number(name, value):
    is_number = field.is_of_type(value, float)
    if not (is_number and field.WEIGHT.holds(value)):
        raise ValueError(
            f"{name} of a FeatureMatch must be a number "
            f"{field.WEIGHT.text}. Received: {name}={value!r}"
        )


def _check_options(loss, options):
    known = {x.name: x for x in config_features.FEATURE_LOSS_OPTIONS[loss]}
    for name, value in options.items():
        if name not in known:
            takes = f"takes {', '.join(known)}" if known else "takes none"
            raise ValueError(
                f"options of a FeatureMatch must be those of its loss: {loss} "
                f"{takes}. Received: {name}={value!r}."
                f"{suggestions.did_you_mean(name, known)}"
            )
        what = f"{name} of a FeatureMatch"
        field.check_type(what, value, known[name].default)
        if known[name].rule is not None:
            field.check(known[name].rule, what, value)

"""Matches features of the student to features of its teacher."""

import keras
import tensorflow as tf

from kd_keras.config import features as config_features
from kd_keras.config import field
from kd_keras.distillation.feature_losses import FEATURE_LOSSES
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
        """Reduces a feature of the teacher to the target for the student.

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
        """Returns the settings that the target depends on: a dict for JSON."""
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


def _averages(feature):
    """Means over all positions: `(batch, channels)`."""
    axes = tuple(range(1, len(feature.shape) - 1))
    return tf.reduce_mean(feature, axis=axes) if axes else feature


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

"""The losses on features of a Distiller, with their variables."""

import keras
import tensorflow as tf

from kd_keras.distillation import losses, projections, replicas
from kd_keras.distillation.feature_losses import FEATURE_LOSSES
from kd_keras.models import inner_outputs, interface


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
        self.target_shapes = _checked_shapes(target_shapes, matches)
        self._student = None

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
        if self._student.shapes is None:
            raise ValueError(
                "features need a student of one tensor of images. Received: "
                f"{student.name}, of inputs of shape "
                f"{interface.input_shape(student)}"
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
        """Returns the student's outputs and its features, from one call.

        Raises:
            ValueError: if shapes of features are still unknown.
        """
        if not self.built:
            raise ValueError(
                "the shapes of features must be known before the first step: "
                "give feature_shapes=..., or images of one size. Received: "
                f"images of shape {getattr(images, 'shape', type(images))}, "
                f"feature_shapes={self.target_shapes}"
            )
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


def _checked_shapes(shapes, matches):
    if shapes is None:
        return None
    for shape in checked_targets(shapes, matches):
        if not isinstance(shape, (list, tuple)):
            raise ValueError(
                "feature_shapes must be a list with the shape of a target, "
                f"such as (64,), for each FeatureMatch. Received: {shapes!r}"
            )
    return [tuple(shape) for shape in shapes]


def config_of(matching):
    """The part of a Distiller's configuration about features: dict."""
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

"""Trains a student on a teacher's predictions, as a Keras model."""

import keras
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras.distillation import (
    activations,
    feature_matching,
    losses,
    matching,
    replicas,
    settings,
    teacher_checks,
    trainer,
)
from kd_keras.distillation import labels as labels_lib
from kd_keras.teachers import live

_TERMS = (
    "loss",
    "soft_loss",
    "hard_loss",
    "regularization_loss",
    "accuracy",
    "agreement",
)
# The checks of the arguments that may change between steps.
_SETTINGS = {
    "temperature": settings.temperature,
    "hard_loss_weight": settings.hard_loss_weight,
    "soft_loss": settings.soft_loss,
    "soft_loss_options": settings.soft_loss_options,
}


@keras.saving.register_keras_serializable(package="kd_keras")
class Distiller(trainer.ExactTrainer):
    """Trains a student to imitate a frozen teacher.

    `fit` minimises the mean over the batch, with its sample weights, of
    `T**2 KL(p_T || q_T)` between the teacher's and the student's softened
    predictions, or another of `losses.LOSSES`, plus `hard_loss_weight` times
    the cross-entropy on labels, plus the losses on `features`, plus the
    student's regularisation losses.
    Without a `hard_loss_weight`, labels only feed the metrics.

    Batches are `x`, `(x, y)` or `(x, y, sample_weight)`. `y` is labels, the
    classes `(batch,)` or one-hot, or a dict with `labels` and/or
    `teacher_logits` `(batch, num_classes)` and/or `teacher_features`, a tuple
    of one target for each of `features`, used instead of the teacher.

    With `soft_loss="binary_kl"` each logit is a yes or no of its own: one
    logit for two classes, with labels `(batch,)` or `(batch, 1)`, or one for
    each label, with labels `(batch, num_labels)`, from 0 to 1. The hard loss
    is the binary cross-entropy, summed over labels; accuracy and agreement
    are shares of the decisions, which are yes where the logit is above 0.

    Logs, each the exact weighted mean over all examples: `loss`,
    `soft_loss`, `agreement` (share of examples with the same top class as
    the teacher), and where they apply `hard_loss`, `feature_loss`,
    `regularization_loss`, `accuracy`, and the metrics given to `compile`.

    Calling, `predict`, `export` and the files of `save_weights` are the
    student's. The teacher is in no weights, checkpoint or file, and is never
    changed; a reloaded Distiller gets one by `set_teacher`. Projections and
    queues of `features` are the Distiller's: `save` keeps them. Under a
    `tf.distribute.MirroredStrategy` the result is the same as on one device,
    and under a `tf.distribute.MultiWorkerMirroredStrategy` with distributed
    datasets; create student and Distiller in the strategy's scope.

    `temperature`, `hard_loss_weight`, `soft_loss` and `soft_loss_options` are
    attributes, too. Setting one compiles the steps again, so a value that
    changes often should be a schedule or a variable.

    Args:
        student: Keras model, images -> logits.
        teacher: Keras model or layer, loaded SavedModel, what `load_teacher`
            returns, a path or name that it takes, function images -> logits
            in TensorFlow or, more slowly, on arrays, or None where batches
            have `teacher_logits`.
        temperature: float > 0, softens both predictions; or a
            `keras.optimizers.schedules.LearningRateSchedule`, or a
            `tf.Variable` or `keras.Variable`.
        hard_loss_weight: float >= 0, or a schedule or variable.
        soft_loss: `kl`, `dkd`, `dist`, `mse`, `binary_kl`, or a function of
            `teacher_logits`, `student_logits` and `temperature` -> `(batch,)`;
            see `losses` for further inputs. The target class of `dkd` is the
            label with a `hard_loss_weight`, else the teacher's top class.
            None trains on features alone, or with a hard loss; the teacher
            then needs no logits.
        soft_loss_options: dict of further arguments of the loss, such as
            `{"standardize": True}` of `kl`.
        student_output: str or int, the name (key of a dict, or output layer)
            or index of the output that has the logits; None for the only
            one, or the one named `logits`.
        teacher_output: as `student_output`.
        features: list of `FeatureMatch`.
        feature_shapes: list of the shapes of the teacher's targets without
            the batch, as `FeatureMatch.target_shape` returns them, for
            batches that have `teacher_features`; by default the shapes of the
            teacher's features, or of the first batch's.

    Raises:
        ValueError: if an argument is not as above, student and teacher have
            different numbers of classes, the teacher returns NaN, infinity
            or probabilities, the training would change weights of the
            teacher, or a batch lacks what the loss needs.

    Reference:
        - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531)
    """

    def __init__(
        self,
        student,
        teacher=None,
        *,
        temperature=config_lib.DEFAULT_TEMPERATURE,
        hard_loss_weight=0.0,
        soft_loss="kl",
        soft_loss_options=None,
        student_output=None,
        teacher_output=None,
        features=(),
        feature_shapes=None,
        **kwargs,
    ):
        matches = feature_matching.checked(features)
        # Only where they apply: checkpoints hold the state of each term.
        terms = (*_TERMS, "feature_loss") if matches else _TERMS
        super().__init__(student, terms=terms, output=student_output, **kwargs)
        self.matching = None
        if matches:
            self.matching = matching.Matching(matches, feature_shapes)
        self.temperature = temperature
        self.hard_loss_weight = hard_loss_weight
        self.soft_loss = soft_loss
        self.soft_loss_options = soft_loss_options
        settings.check_some_loss(soft_loss, matches)
        self.set_teacher(teacher, output=teacher_output)

    def __setattr__(self, name, value):
        if name not in _SETTINGS:
            super().__setattr__(name, value)
            return
        # Not by Keras, which would count a variable among the weights.
        object.__setattr__(self, name, _SETTINGS[name](value))
        self.renew_steps()

    def set_teacher(self, teacher, *, output=None):
        """Sets the teacher, for example of a Distiller loaded from a file.

        Args:
            teacher: as `teacher` of the class.
            output: as `teacher_output` of the class.

        Raises:
            ValueError: if it is no teacher, or has other classes than the
                student.
        """
        # A plain object, not the model: Keras must not track the teacher.
        self._teacher = None
        has_logits = self.soft_loss is not None
        if teacher is not None:
            if has_logits:
                teacher_checks.check_known_outputs(teacher, self.activation)
            self._teacher = live.live_teacher(
                teacher,
                names=tuple(match.teacher for match in self.features),
                output=output,
                has_logits=has_logits,
            )
        if teacher is not None and has_logits:
            teacher_checks.check_classes(
                self.num_classes, self._teacher.num_classes
            )
            self.activation.check_count(self._teacher.num_classes)
        self._teacher_reads = frozenset()
        self._build_matching()
        self.renew_steps()

    @property
    def student(self):
        return self.network

    @property
    def features(self):
        """The list of `FeatureMatch`."""
        return [] if self.matching is None else self.matching.matches

    @property
    def own_variables(self):
        return [] if self.matching is None else self.matching.variables

    @property
    def uses_logits(self):
        has_hard_loss = not settings.is_zero(self.hard_loss_weight)
        return self.soft_loss is not None or has_hard_loss

    @property
    def activation(self):
        return activations.ACTIVATIONS[losses.activation_of(self.soft_loss)]

    @property
    def choice(self):
        return {
            "output": self.output_choice,
            "role": "student",
            "option": "student_output",
        }

    def get_config(self):
        return {
            **matching.config_of(self.matching),
            "name": self.name,
            # A loaded network has the policy of the process, not its own.
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "student": keras.saving.serialize_keras_object(self.student),
            "soft_loss_options": self.soft_loss_options,
            "student_output": self.output_choice,
            **{
                key: settings.serialized(getattr(self, key))
                for key in ("temperature", "hard_loss_weight", "soft_loss")
            },
        }

    @classmethod
    def from_config(cls, config):
        objects = {
            key: keras.saving.deserialize_keras_object(config[key])
            for key in ("student", "temperature", "hard_loss_weight")
        }
        soft_loss = config["soft_loss"]
        if not isinstance(soft_loss, str):
            soft_loss = keras.saving.deserialize_keras_object(soft_loss)
        objects["features"] = [
            keras.saving.deserialize_keras_object(match)
            for match in config.get("features", ())
        ]
        return cls(**{**config, **objects, "soft_loss": soft_loss})

    def fit(self, *args, **kwargs):
        matching.check_callbacks(self.matching, kwargs.get("callbacks"))
        return super().fit(*args, **kwargs)

    def make_train_function(self, force=False):
        # Building in the first step would trace the step a second time.
        known = self.matching is None or self.matching.built
        if known and self.network.built and self.network.trainable_variables:
            self.build_under_strategy()
        super().make_train_function(force=force)

    def build_for(self, specs):
        self._build_matching(*keras.utils.unpack_x_y_sample_weight(specs)[:2])

    def _build_matching(self, x=None, y=None):
        """Makes projections and queues as soon as all shapes are known."""
        if self.matching is None or self.matching.built:
            return
        _, _, targets = _split(y, self.features)
        with self.distribute_strategy.scope():
            self.matching.build_for(
                self.student, self.output_choice, self._teacher, x, targets
            )

    def _call_network(self, x, training):
        if self.matching is None:
            return super()._call_network(x, training)
        return self.matching.call_student(x, training)

    @property
    def _step(self):
        """The steps of the training so far, a variable."""
        # The optimizer that scales the loss in float16 counts the same steps.
        return self.optimizer.iterations

    def _targets(self, x, y):
        labels, teacher_logits, features = _split(y, self.features)
        if self.activation is activations.SOFTMAX:
            labels_lib.check_columns(labels, self.num_classes)
        labels = self.activation.convert_labels(labels)
        if labels is None and not settings.is_zero(self.hard_loss_weight):
            raise ValueError(
                f"hard_loss_weight={self.hard_loss_weight} needs labels in "
                "every batch. Received: none"
            )
        needed = {
            "teacher_logits": self.soft_loss is not None
            and teacher_logits is None,
            "teacher_features": bool(self.features) and features is None,
        }
        if any(needed.values()):
            outputs = self._call_teacher(x, needed)
            if needed["teacher_logits"]:
                teacher_logits = outputs.logits
            if needed["teacher_features"]:
                features = self.matching.targets_of(outputs.features)
        targets = {"labels": labels}
        if self.soft_loss is not None:
            teacher_logits = tf.cast(teacher_logits, tf.float32)
            targets["teacher_logits"] = teacher_checks.checked(
                tf.stop_gradient(teacher_logits)
            )
        if self.features:
            targets["teacher_features"] = teacher_checks.checked_features(
                features
            )
        return targets

    def _call_teacher(self, x, needed):
        if self._teacher is None:
            names = " and ".join(f"'{name}'" for name in needed if needed[name])
            raise ValueError(
                f"a Distiller needs a teacher (set_teacher), or {names} in "
                "every batch. Received: neither"
            )
        outputs, reads = teacher_checks.called(self._teacher, x)
        self._teacher_reads = reads
        if self.jit_compile:
            teacher_checks.check_xla(self._teacher)
        return outputs

    def check_update(self):
        teacher_checks.check_apart(self.student, self._teacher_reads)

    def _terms(self, logits, targets):
        settings.check_some_loss(self.soft_loss, self.features)
        terms = {}
        if self.soft_loss is not None:
            terms = self._soft_terms(logits, targets)
        if not settings.is_zero(self.hard_loss_weight):
            terms["hard_loss"] = self.activation.hard_loss(
                targets["labels"], logits
            )
            weight = settings.weight_at(self.hard_loss_weight, self._step)
            terms["loss"] = terms.get("loss", 0.0) + weight * terms["hard_loss"]
        if self.features:
            terms["feature_loss"] = self.matching.losses_of(
                targets["teacher_features"],
                targets["features"],
                training=targets["training"],
            )
            terms["loss"] = terms.get("loss", 0.0) + terms["feature_loss"]
        return terms

    def _soft_terms(self, logits, targets):
        teacher_logits = teacher_checks.shaped(
            targets["teacher_logits"], logits
        )
        has_hard_loss = not settings.is_zero(self.hard_loss_weight)
        function = losses.LOSSES.get(self.soft_loss, self.soft_loss)
        inputs = losses.declared_inputs(
            function,
            labels=targets["labels"] if has_hard_loss else None,
            batch_sum=replicas.sum_over_batch,
        )
        losses.check_options(function, self.soft_loss_options)
        soft_loss = function(
            teacher_logits=teacher_logits,
            student_logits=logits,
            temperature=settings.temperature_at(self.temperature, self._step),
            **{**inputs, **self.soft_loss_options},
        )
        losses.check_result(soft_loss, logits)
        return {
            "loss": soft_loss,
            "soft_loss": soft_loss,
            "agreement": self.activation.agreement(logits, teacher_logits),
        }


def _split(y, matches):
    """Labels, teacher's logits and features of a batch's `y`, or None."""
    given = y if isinstance(y, dict) else {"labels": y}
    known = ["labels", "teacher_logits"] + ["teacher_features"] * bool(matches)
    if set(given) - set(known):
        raise ValueError(
            f"y must be labels or a dict with {', '.join(map(repr, known))} "
            f"or some of them. Received: {sorted(given)}"
        )
    features = given.get("teacher_features")
    if features is not None:
        features = matching.checked_targets(features, matches)
    return given.get("labels"), given.get("teacher_logits"), features

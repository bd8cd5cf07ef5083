"""Trains a student on a teacher's predictions, as a Keras model."""

import keras
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras.distillation import (
    activations,
    losses,
    replicas,
    settings,
    teacher_checks,
    trainer,
)
from kd_keras.models import interface
from kd_keras.teachers import teacher as teachers

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
    the cross-entropy on labels, plus the student's regularisation losses.
    Without a `hard_loss_weight`, labels only feed the metrics.

    Batches are `x`, `(x, y)` or `(x, y, sample_weight)`. `y` is labels, the
    classes `(batch,)` or one-hot, or a dict with `labels` and/or
    `teacher_logits` `(batch, num_classes)`, used instead of the teacher.

    With `soft_loss="binary_kl"` each logit is a yes or no of its own: one
    logit for two classes, with labels `(batch,)` or `(batch, 1)`, or one for
    each label, with labels `(batch, num_labels)`, from 0 to 1. The hard loss
    is the binary cross-entropy, summed over labels; accuracy and agreement
    are shares of the decisions, which are yes where the logit is above 0.

    Logs, each the exact weighted mean over all examples: `loss`,
    `soft_loss`, `agreement` (share of examples with the same top class as
    the teacher), and where they apply `hard_loss`, `regularization_loss`,
    `accuracy`, and the metrics given to `compile`.

    Calling, `predict`, `export` and the files of `save_weights` are the
    student's. The teacher is in no weights, checkpoint or file, and is never
    changed; a reloaded Distiller gets one by `set_teacher`. Under a
    `tf.distribute.MirroredStrategy` the result is the same as on one device;
    create student and Distiller in the strategy's scope.

    `temperature`, `hard_loss_weight`, `soft_loss` and `soft_loss_options` are
    attributes, too. Setting one compiles the steps again, so a value that
    changes often should be a schedule or a variable.

    Args:
        student: Keras model, images -> logits.
        teacher: Keras model or layer, SavedModel, path of one or of a
            `.keras` file, function images -> logits in TensorFlow or, more
            slowly, on arrays, or None where batches have `teacher_logits`.
        temperature: float > 0, softens both predictions; or a
            `keras.optimizers.schedules.LearningRateSchedule`, or a
            `tf.Variable` or `keras.Variable`.
        hard_loss_weight: float >= 0, or a schedule or variable.
        soft_loss: `kl`, `dkd`, `dist`, `mse`, `binary_kl`, or a function of
            `teacher_logits`, `student_logits` and `temperature` -> `(batch,)`;
            see `losses` for further inputs. The target class of `dkd` is the
            label with a `hard_loss_weight`, else the teacher's top class.
        soft_loss_options: dict of further arguments of the loss, such as
            `{"standardize": True}` of `kl`.
        student_output: str or int, the name (key of a dict, or output layer)
            or index of the output that has the logits; None for the only
            one, or the one named `logits`.
        teacher_output: as `student_output`.

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
        **kwargs,
    ):
        super().__init__(student, terms=_TERMS, output=student_output, **kwargs)
        self.temperature = temperature
        self.hard_loss_weight = hard_loss_weight
        self.soft_loss = soft_loss
        self.soft_loss_options = soft_loss_options
        self.set_teacher(teacher, output=teacher_output)

    def __setattr__(self, name, value):
        if name not in _SETTINGS:
            super().__setattr__(name, value)
            return
        # Not by Keras, which would count a variable among the weights.
        object.__setattr__(self, name, _SETTINGS[name](value))
        self.renew_steps()

    def set_teacher(self, teacher, *, output=None):
        """Sets the teacher, such as that of a Distiller read from a file.

        Args:
            teacher: as `teacher` of the class.
            output: as `teacher_output` of the class.

        Raises:
            ValueError: if it is no teacher, or has other classes than the
                student.
        """
        # A plain function, not the model: Keras must not track the teacher.
        self._teacher_logits = None
        if teacher is not None:
            teacher_checks.check_known_outputs(teacher, self.activation)
            function, num_classes = teachers.logits_function(teacher, output)
            self._teacher_logits = function
            classes = interface.num_classes(self.student, **self.choice)
            teacher_checks.check_classes(classes, num_classes)
            self.activation.check_count(num_classes)
        self._teacher_reads = frozenset()
        self.renew_steps()

    @property
    def student(self):
        return self.network

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
            "name": self.name,
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
        return cls(**{**config, **objects, "soft_loss": soft_loss})

    def _now(self, value):
        """The value of a setting at this step of the training."""
        if isinstance(value, (int, float)):
            return value
        # The optimizer that scales the loss in float16 counts the same steps.
        return settings.at_step(value, self.optimizer.iterations)

    def _targets(self, x, y):
        labels, teacher_logits = _split(y)
        labels = self.activation.convert_labels(labels)
        if labels is None and not settings.is_zero(self.hard_loss_weight):
            raise ValueError(
                f"hard_loss_weight={self.hard_loss_weight} needs labels in "
                "every batch. Received: none"
            )
        if teacher_logits is None:
            if self._teacher_logits is None:
                raise ValueError(
                    "a Distiller needs a teacher (set_teacher), or "
                    "'teacher_logits' in every batch. Received: neither"
                )
            teacher_logits = self._call_teacher(x)
        teacher_logits = tf.stop_gradient(tf.cast(teacher_logits, tf.float32))
        return {
            "labels": labels,
            "teacher_logits": teacher_checks.checked(teacher_logits),
        }

    def _call_teacher(self, x):
        logits, reads = teacher_checks.called(self._teacher_logits, x)
        self._teacher_reads = reads
        if self.jit_compile:
            teacher_checks.check_xla(self._teacher_logits)
        return logits

    def check_update(self):
        teacher_checks.check_apart(self.student, self._teacher_reads)

    def _terms(self, logits, targets):
        labels = targets["labels"]
        teacher_logits = teacher_checks.shaped(
            targets["teacher_logits"], logits
        )
        has_hard_loss = not settings.is_zero(self.hard_loss_weight)
        function = losses.LOSSES.get(self.soft_loss, self.soft_loss)
        inputs = losses.declared_inputs(
            function,
            labels=labels if has_hard_loss else None,
            batch_sum=replicas.sum_over_batch,
        )
        losses.check_options(function, self.soft_loss_options)
        soft_loss = function(
            teacher_logits=teacher_logits,
            student_logits=logits,
            temperature=self._now(self.temperature),
            **{**inputs, **self.soft_loss_options},
        )
        terms = {"loss": soft_loss, "soft_loss": soft_loss}
        if has_hard_loss:
            terms["hard_loss"] = self.activation.hard_loss(labels, logits)
            weight = self._now(self.hard_loss_weight)
            terms["loss"] += weight * terms["hard_loss"]
        terms["agreement"] = self.activation.agreement(logits, teacher_logits)
        return terms


def _split(y):
    """`(labels, teacher_logits)` of a batch's `y`, or None for either."""
    given = y if isinstance(y, dict) else {"labels": y}
    if set(given) - {"labels", "teacher_logits"}:
        raise ValueError(
            "y must be labels or a dict with 'labels' and/or "
            f"'teacher_logits'. Received: {sorted(given)}"
        )
    return given.get("labels"), given.get("teacher_logits")

"""Trains a student on a teacher's predictions, as a Keras model."""

import keras
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras.distillation import labels as labels_lib
from kd_keras.distillation import losses, replicas, teacher_checks, trainer
from kd_keras.teachers import teacher as teachers

_TERMS = (
    "loss",
    "soft_loss",
    "hard_loss",
    "regularization_loss",
    "accuracy",
    "agreement",
)


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

    Logs, each the exact weighted mean over all examples: `loss`,
    `soft_loss`, `agreement` (share of examples with the same top class as
    the teacher), and where they apply `hard_loss`, `regularization_loss`,
    `accuracy`, and the metrics given to `compile`.

    Calling, `predict` and saving are the student's. The teacher is in no
    weights, checkpoint or file, and is never changed. Under a
    `tf.distribute.MirroredStrategy` the result is the same as on one device;
    create student and Distiller in the strategy's scope.

    Args:
        student: Keras model, images -> logits.
        teacher: Keras model, SavedModel, path of one or of a `.keras` file,
            callable images -> logits, or None where batches have
            `teacher_logits`.
        temperature: float > 0, softens both predictions; or a
            `keras.optimizers.schedules.LearningRateSchedule`.
        hard_loss_weight: float >= 0, or a schedule.
        soft_loss: `kl`, `dkd`, `dist`, `mse`, or a function of
            `teacher_logits`, `student_logits` and `temperature` -> `(batch,)`;
            see `losses` for further inputs. The target class of `dkd` is the
            label with a `hard_loss_weight`, else the teacher's top class.
        soft_loss_options: dict of further arguments of the loss, such as
            `{"standardize": True}` of `kl`.

    Raises:
        ValueError: if an argument is not as above, student and teacher have
            different numbers of classes, the teacher returns NaN, infinity
            or probabilities, or a batch lacks what the loss needs.

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
        **kwargs,
    ):
        _check_arguments(temperature, hard_loss_weight, soft_loss)
        super().__init__(student, terms=_TERMS, **kwargs)
        self.temperature = temperature
        self.hard_loss_weight = hard_loss_weight
        self.soft_loss = soft_loss
        self.soft_loss_options = dict(soft_loss_options or {})
        # A plain function, not the model: Keras must not track the teacher.
        self._teacher_logits = None
        if teacher is not None:
            function, num_classes = teachers.logits_function(teacher)
            self._teacher_logits = function
            if student.built:
                student_classes = student.output_shape[-1]
                teacher_checks.check_classes(student_classes, num_classes)

    @property
    def student(self):
        return self.network

    def get_config(self):
        return {
            "name": self.name,
            "student": keras.saving.serialize_keras_object(self.student),
            "soft_loss_options": self.soft_loss_options,
            **{
                key: keras.saving.serialize_keras_object(getattr(self, key))
                for key in ("temperature", "hard_loss_weight", "soft_loss")
            },
        }

    @classmethod
    def from_config(cls, config):
        objects = {
            key: keras.saving.deserialize_keras_object(config.pop(key))
            for key in ("student", "temperature", "hard_loss_weight")
        }
        soft_loss = config.pop("soft_loss")
        if not isinstance(soft_loss, str):
            soft_loss = keras.saving.deserialize_keras_object(soft_loss)
        return cls(**objects, soft_loss=soft_loss, **config)

    def _now(self, value):
        """The value itself, or a schedule's at this step of the training."""
        if not callable(value):
            return value
        # The optimizer that scales the loss in float16 counts the same steps.
        return tf.cast(value(self.optimizer.iterations), tf.float32)

    def _targets(self, x, y):
        labels, teacher_logits = _split(y)
        if labels is None and self.hard_loss_weight:
            raise ValueError(
                f"hard_loss_weight={self.hard_loss_weight} needs labels in "
                "every batch. Received: none"
            )
        if teacher_logits is None:
            if self._teacher_logits is None:
                raise ValueError(
                    "a Distiller needs a teacher, or 'teacher_logits' in "
                    "every batch. Received: neither"
                )
            teacher_logits = self._teacher_logits(x)
        teacher_logits = tf.stop_gradient(tf.cast(teacher_logits, tf.float32))
        return {
            "labels": labels,
            "teacher_logits": teacher_checks.checked(teacher_logits),
        }

    def _terms(self, logits, targets):
        labels, teacher_logits = targets["labels"], targets["teacher_logits"]
        teacher_checks.check_classes(logits.shape[-1], teacher_logits.shape[-1])
        function = losses.LOSSES.get(self.soft_loss, self.soft_loss)
        inputs = losses.declared_inputs(
            function,
            labels=labels if self.hard_loss_weight else None,
            batch_sum=replicas.sum_over_batch,
        )
        soft_loss = function(
            teacher_logits=teacher_logits,
            student_logits=logits,
            temperature=self._now(self.temperature),
            **{**inputs, **self.soft_loss_options},
        )
        terms = {"loss": soft_loss, "soft_loss": soft_loss}
        if self.hard_loss_weight:
            terms["hard_loss"] = labels_lib.hard_loss(labels, logits)
            weight = self._now(self.hard_loss_weight)
            terms["loss"] += weight * terms["hard_loss"]
        same = tf.argmax(logits, -1) == tf.argmax(teacher_logits, -1)
        terms["agreement"] = tf.cast(same, tf.float32)
        return terms


def _split(y):
    """`(labels, teacher_logits)` of a batch's `y`, or None for either."""
    given = y if isinstance(y, dict) else {"labels": y}
    if set(given) - {"labels", "teacher_logits"}:
        raise ValueError(
            "y must be labels or a dict with 'labels' and/or "
            f"'teacher_logits'. Received: {sorted(given)}"
        )
    labels = labels_lib.integer_labels(given.get("labels"))
    return labels, given.get("teacher_logits")


def _check_arguments(temperature, hard_loss_weight, soft_loss):
    if not callable(temperature):
        losses.check_temperature(temperature)
    if not (callable(hard_loss_weight) or 0 <= hard_loss_weight < float("inf")):
        raise ValueError(
            "hard_loss_weight must be >= 0 and finite. "
            f"Received: hard_loss_weight={hard_loss_weight}"
        )
    if not (callable(soft_loss) or soft_loss in losses.LOSSES):
        raise ValueError(
            f"soft_loss must be one of {', '.join(losses.LOSSES)}, or a "
            f"function. Received: soft_loss={soft_loss!r}"
        )

"""The student's training: a Keras model whose loss is the teacher."""

import functools

import keras
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras.distillation import losses, trainer
from kd_keras.teachers import loading as teachers

_NOT_FINITE = "the teacher must return finite logits"
_PROBABILITIES = "the teacher must return logits, not probabilities"


@keras.saving.register_keras_serializable(package="kd_keras")
class Distiller(trainer.ExactTrainer):
    """Trains a student to imitate a frozen teacher.

    `fit` minimises, averaged over the batch with its sample weights,
    `T**2 KL(p_T || q_T)` between the teacher's and the student's softened
    predictions, or another of `losses.LOSSES`, plus
    `hard_loss_weight` times the cross-entropy on labels, plus the student's
    own regularisation losses. No label is used unless `hard_loss_weight` is
    set; where labels come, they feed the metrics.

    Batches are `x`, `(x, y)` or `(x, y, sample_weight)`. `y` is integer
    labels `(batch,)` or `(batch, 1)`, or a dict with `labels` and/or
    `teacher_logits` `(batch, num_classes)`; given logits spare the teacher.

    Logs, each the exact weighted mean over all examples: `loss`,
    `soft_loss`, `agreement` (share of examples with the same top class as
    the teacher), and where they apply `hard_loss`, `regularization_loss`,
    `accuracy`, and the metrics given to `compile`.

    Calling it, `predict` and saving it are the student's: the teacher is in
    no weights, checkpoint or file, and is never changed. Under a
    `tf.distribute.MirroredStrategy` it gives the student that one device
    gives; create student and Distiller in the strategy's scope.

    Args:
        student: Keras model, images -> logits.
        teacher: Keras model, SavedModel, path of one or of a `.keras` file,
            callable images -> logits, or None where batches bring
            `teacher_logits`.
        temperature: float > 0, softens both predictions; or a schedule,
            `keras.optimizers.schedules.LearningRateSchedule`, of the
            training step.
        hard_loss_weight: float >= 0, or a schedule.
        soft_loss: `kl`, `dkd`, `dist`, `mse`, or a function of
            `teacher_logits`, `student_logits` and `temperature` -> `(batch,)`.
            The target class of `dkd` is the label where `hard_loss_weight`
            lets labels be used, else the teacher's top class.
        soft_loss_options: dict of further arguments of the loss, such as
            `{"standardize": True}` of `kl`.

    Raises:
        ValueError: if an argument is not as above, or student and teacher
            have different numbers of classes; in `fit` and `evaluate`, if
            the teacher returns NaN, infinity or probabilities, or a batch
            lacks what the loss needs.

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
        if not callable(temperature):
            losses.check_temperature(temperature)
        if not (
            callable(hard_loss_weight) or 0 <= hard_loss_weight < float("inf")
        ):
            raise ValueError(
                "hard_loss_weight must be >= 0 and finite. "
                f"Received: hard_loss_weight={hard_loss_weight}"
            )
        if not (callable(soft_loss) or soft_loss in losses.LOSSES):
            raise ValueError(
                f"soft_loss must be one of {', '.join(losses.LOSSES)}, or a "
                f"function. Received: soft_loss={soft_loss!r}"
            )
        terms = (
            "loss",
            "soft_loss",
            "hard_loss",
            "regularization_loss",
            "accuracy",
            "agreement",
        )
        super().__init__(student, terms=terms, **kwargs)
        self.temperature = temperature
        self.hard_loss_weight = hard_loss_weight
        self.soft_loss = soft_loss
        self.soft_loss_options = dict(soft_loss_options or {})
        # A plain function, not the model: Keras must not track the teacher.
        self._teacher_logits = None
        if teacher is not None:
            self._teacher_logits, num_classes = teachers.logits_function(
                teacher
            )
            if student.built:
                _check_classes(student.output_shape[-1], num_classes)

    @property
    def student(self):
        return self.network

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            super().make_train_function(force)
            self.train_function = _with_value_errors(self.train_function)
        return self.train_function

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = _with_value_errors(self.test_function)
        return self.test_function

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
        """The value that a schedule has at this step of the training."""
        if not callable(value):
            return value
        # That of float16's loss scale counts the same steps.
        return tf.cast(value(self.optimizer.iterations), tf.float32)

    def _targets(self, x, y):
        given = y if isinstance(y, dict) else {"labels": y}
        if set(given) - {"labels", "teacher_logits"}:
            raise ValueError(
                "y must be labels or a dict with 'labels' and/or "
                f"'teacher_logits'. Received: {sorted(given)}"
            )
        labels = trainer.integer_labels(given.get("labels"))
        if labels is None and self.hard_loss_weight:
            raise ValueError(
                f"hard_loss_weight={self.hard_loss_weight} needs labels in "
                "every batch. Received: none"
            )
        teacher_logits = given.get("teacher_logits")
        if teacher_logits is None:
            if self._teacher_logits is None:
                raise ValueError(
                    "a Distiller needs a teacher, or 'teacher_logits' in "
                    "every batch. Received: neither"
                )
            teacher_logits = self._teacher_logits(x)
        teacher_logits = tf.stop_gradient(tf.cast(teacher_logits, tf.float32))
        with tf.control_dependencies(_teacher_checks(teacher_logits)):
            teacher_logits = tf.identity(teacher_logits)
        return {"labels": labels, "teacher_logits": teacher_logits}

    def _terms(self, logits, targets):
        teacher_logits = targets["teacher_logits"]
        _check_classes(logits.shape[-1], teacher_logits.shape[-1])
        options = dict(self.soft_loss_options)
        if self.soft_loss == "dist":
            options["batch_sum"] = trainer.sum_over_batch
        if self.soft_loss == "dkd" and self.hard_loss_weight:
            options["labels"] = targets["labels"]
        soft_loss = losses.LOSSES.get(self.soft_loss, self.soft_loss)(
            teacher_logits=teacher_logits,
            student_logits=logits,
            temperature=self._now(self.temperature),
            **options,
        )
        terms = {"loss": soft_loss, "soft_loss": soft_loss}
        if self.hard_loss_weight:
            terms["hard_loss"] = trainer.hard_loss(targets["labels"], logits)
            weight = self._now(self.hard_loss_weight)
            terms["loss"] += weight * terms["hard_loss"]
        same = tf.argmax(logits, -1) == tf.argmax(teacher_logits, -1)
        terms["agreement"] = tf.cast(same, tf.float32)
        return terms


def _check_classes(student_classes, teacher_classes):
    if None not in (student_classes, teacher_classes) and (
        student_classes != teacher_classes
    ):
        raise ValueError(
            "student and teacher must have the same number of classes. "
            f"Received: student {student_classes}, teacher {teacher_classes}"
        )


def _teacher_checks(teacher_logits):
    """Operations that fail on a batch that cannot be logits."""
    not_finite = tf.math.count_nonzero(~tf.math.is_finite(teacher_logits))
    sums = tf.reduce_sum(teacher_logits, axis=-1)
    like_probabilities = tf.reduce_all(
        (tf.abs(sums - 1.0) < 1e-3)
        & tf.reduce_all(teacher_logits >= 0.0, axis=-1)
    )
    return [
        tf.debugging.Assert(
            not_finite == 0, [_NOT_FINITE, not_finite, tf.size(teacher_logits)]
        ),
        tf.debugging.Assert(
            # A replica's share of a ragged batch may be empty.
            ~like_probabilities | (tf.size(sums) == 0),
            [_PROBABILITIES, tf.reduce_min(sums), tf.reduce_max(sums)],
        ),
    ]


def _with_value_errors(step_function):
    """Makes ValueErrors of what the graph finds wrong with the teacher."""

    @functools.wraps(step_function)
    def step(iterator):
        try:
            return step_function(iterator)
        except tf.errors.InvalidArgumentError as error:
            explained = _teacher_error(str(error))
            if explained is None:
                raise
            raise explained from None

    return step


def _teacher_error(message):
    for text, received in (
        (_NOT_FINITE, "{} of {} values of a batch that are NaN or infinite"),
        (
            _PROBABILITIES,
            "rows that are >= 0 and sum to {} up to {}. Load it with "
            "load_teacher(path, outputs='probabilities') "
            "(--config.teacher.outputs=probabilities), or give the Distiller "
            "a function that returns the logarithm of its output",
        ),
    ):
        if text in message:
            # TensorFlow prints an Assert's data as [b'text'] [1] [2].
            values = message.split(text, 1)[1].split("[")[1:3]
            numbers = [value.split("]")[0] for value in values]
            return ValueError(f"{text}. Received: {received.format(*numbers)}")
    return None

"""Trains a specialist from the generalist's weights."""

import tensorflow as tf

from kd_keras.distillation import labels as labels_lib
from kd_keras.distillation import losses, trainer
from kd_keras.distillation.specialists import dustbin
from kd_keras.teachers import teacher as teachers


class SpecialistTrainer(trainer.ExactTrainer):
    """Trains a specialist on labels, with soft targets for other classes.

    `loss` is the cross-entropy over the specialist's classes and its dustbin
    (`hard_loss`), plus, for examples of other classes, `soft_loss_weight`
    times the distillation loss from the generalist over all classes
    (`soft_loss`, 0 for special examples). Batches are `(x, labels)`.

    The losses subtract `log_oversampling` from the dustbin's logit, which is
    the same as adding it afterwards: the network's own logits are always
    right for examples as frequent as they are, and start as the
    generalist's. `evaluate` subtracts it in the losses too; the accuracy,
    over all classes, does not depend on it.

    Args:
        network: Keras model, images -> logits over all classes.
        generalist: as `teachers.logits_function` takes it.
        classes: list of int, the specialist's.
        log_oversampling: float; see `log_oversampling`.
        temperature: float > 0, of the soft targets.
        soft_loss_weight: float >= 0.
    """

    def __init__(
        self,
        network,
        generalist,
        *,
        classes,
        log_oversampling,
        temperature,
        soft_loss_weight,
        **kwargs,
    ):
        terms = (
            "loss",
            "hard_loss",
            "soft_loss",
            "regularization_loss",
            "accuracy",
        )
        super().__init__(network, terms=terms, **kwargs)
        self._generalist_logits, _ = teachers.logits_function(generalist)
        self._classes = list(classes)
        self._log_oversampling = log_oversampling
        self._temperature = temperature
        self._soft_loss_weight = soft_loss_weight

    def _targets(self, x, y):
        return {
            "labels": labels_lib.integer_labels(y),
            "generalist_logits": tf.stop_gradient(self._generalist_logits(x)),
        }

    def _terms(self, logits, targets):
        positions = tf.gather(
            dustbin.positions_in_set(self._classes, logits.shape[-1]),
            targets["labels"],
        )
        hard_loss = labels_lib.hard_loss(
            positions,
            dustbin.with_dustbin(
                logits, self._classes, offset=-self._log_oversampling
            ),
        )
        soft_loss = losses.distillation_loss(
            teacher_logits=targets["generalist_logits"],
            student_logits=logits,
            temperature=self._temperature,
        )
        in_dustbin = positions == len(self._classes)
        soft_loss = tf.where(in_dustbin, soft_loss, 0.0)
        return {
            "loss": hard_loss + self._soft_loss_weight * soft_loss,
            "hard_loss": hard_loss,
            "soft_loss": soft_loss,
        }

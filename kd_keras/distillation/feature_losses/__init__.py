"""Losses on features: pure, per example, in float32.

The caller reduces. No loss depends on models or devices.

To add a loss, write a file with a function of `teacher_features` and
`student_features`, both `(batch, ...)`, -> `(batch,)`, and enter it in
`FEATURE_LOSSES` and its options in `config.features`. Its further keyword
arguments are options of `kd_keras.FeatureMatch`, or inputs that the training
step has, by these names:

- `gather`: function that gathers a tensor `(batch, ...)` of the whole batch,
  from all replicas;
- `batch_sum`: function that sums a tensor `(batch, ...)` over the first axis
  of the whole batch, on all replicas;
- the inputs from the loss's own state; see `FeatureLoss`.
"""

from kd_keras.distillation.feature_losses.attention import (
    attention_loss,
    attention_map,
)
from kd_keras.distillation.feature_losses.common import FeatureLoss
from kd_keras.distillation.feature_losses.cosine import cosine_loss
from kd_keras.distillation.feature_losses.mse import mse_loss
from kd_keras.distillation.feature_losses.queue_kl import Queue, queue_kl_loss
from kd_keras.distillation.feature_losses.relational import relational_loss

FEATURE_LOSSES = {
    "mse": FeatureLoss(mse_loss),
    "cosine": FeatureLoss(cosine_loss),
    "queue_kl": FeatureLoss(queue_kl_loss, make_state=Queue),
    "attention": FeatureLoss(
        attention_loss, compares_channels=False, reduce=attention_map
    ),
    "relational": FeatureLoss(relational_loss, compares_channels=False),
}

__all__ = [
    "FEATURE_LOSSES",
    "FeatureLoss",
    "attention_loss",
    "attention_map",
    "cosine_loss",
    "mse_loss",
    "queue_kl_loss",
    "relational_loss",
]

"""Specialists for sets of confusable classes: sets, training, combination.

A specialist distinguishes the classes of its set; all others are one class,
the dustbin. Its network keeps the generalist's softmax over all classes, and
the dustbin's probability is the sum over the others. So each specialist
starts with the generalist's predictions exactly, and soft targets still act
on the other classes (section 6.1).

Reference:
    - [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), sections 5, 6.1
"""

from kd_keras.distillation.specialists.class_sets import (
    accuracy_by_coverage,
    confusable_sets,
)
from kd_keras.distillation.specialists.combination import (
    Combination,
    combine,
    combined_network,
)
from kd_keras.distillation.specialists.dustbin import (
    log_oversampling,
    with_dustbin,
)
from kd_keras.distillation.specialists.training import SpecialistTrainer

__all__ = [
    "Combination",
    "SpecialistTrainer",
    "accuracy_by_coverage",
    "combine",
    "combined_network",
    "confusable_sets",
    "log_oversampling",
    "with_dustbin",
]

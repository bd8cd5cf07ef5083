"""Measures how close distillation at high temperatures is to logit matching."""

import keras
import numpy as np
import tensorflow as tf

from experiments.paper.measures import runs
from kd_keras.distillation import losses
from kd_keras.evaluation import metrics
from kd_keras.models import build
from kd_keras.teachers import loading

# Training images on which the gradients of two losses are compared.
_GRADIENT_EXAMPLES = 500


def measure(lab, experiment, seed):
    """Measures a run, with its distance from logit matching.

    `agreement_with_matching` is the agreement of the two students on the test
    set. `gradient_gap` is the norm of the difference of the two losses'
    gradients by the logits of an untrained student, relative to the norm of
    logit matching's gradient.
    """
    matching = lab.experiments["matching"]
    line = runs.measure(lab, experiment, seed)
    test = lab.parts(experiment, seed)["test"]
    student, other = (
        runs.predict(lab.network(x, seed), test) for x in (experiment, matching)
    )
    gradient, limit = (
        loss_gradient(lab, x, seed) for x in (experiment, matching)
    )
    gap = np.linalg.norm(gradient - limit) / np.linalg.norm(limit)
    return {
        **line,
        "agreement_with_matching": metrics.agreement(
            teacher_logits=other, student_logits=student
        ),
        "gradient_gap": float(gap),
    }


def loss_gradient(lab, experiment, seed):
    """Gradient of a run's loss by the logits of its untrained student.

    Returns:
        float32 array `(500, num_classes)`, of training images.
    """
    config = lab.plan.config(experiment, seed)
    train = lab.parts(experiment, seed)["train"]
    images = train.sample(_GRADIENT_EXAMPLES)
    teacher = loading.load_teacher(lab.teacher_path(experiment))
    keras.utils.set_random_seed(seed)
    student = build.build_model(
        config.student.model,
        image_shape=train.image_shape,
        num_classes=train.num_classes,
        images=images,
        widths=config.student.widths,
    )
    logits = student(images)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = losses.LOSSES[config.distill.loss](
            teacher_logits=teacher(images),
            student_logits=logits,
            temperature=config.distill.temperature,
        )
    return tape.gradient(loss, logits).numpy()

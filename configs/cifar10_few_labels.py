"""CIFAR-10 from the labels of a few images and a network trained elsewhere.

    make few-labels

runs all experiments with their seeds and writes
`docs/results/cifar10_few_labels.md`, which has the results, the hardware and
the times. One experiment is a recipe of the trainer, such as

    python -m kd_keras.train --stage=baseline \
        --config=cifar10_few_labels:baseline_50

The argument names the network that is trained and the labels of each class:

    baseline    the student's network, on these labels
    probe       a linear head on embeddings by EfficientNet-Lite0
    soft        a student, from the probe's predictions for all 50,000 images
    probe2      a second probe, on the labels that this student predicts for all
                50,000 images (`make few-labels` hands them over)
    soft2       a second student, from the second probe's predictions
    features    a student, from the embeddings of all 50,000 images; no labels
    head        a linear head on the embeddings by that student
    both        a student, from the probe's predictions and the embeddings

EfficientNet-Lite0 was trained on ImageNet and never here. It embeds six
views of each image, resized from 32 to 224 pixels, once (`kd-keras label`).

The choice of all settings: `docs/experiments/cifar10_few_labels.md`.
"""

from kd_keras.config import recipes
from kd_keras.utils.suggestions import check_choice

# Labels of each class; 0 for all 5,000.
LABELS = {"50": 50, "500": 500, "all": 0}
# Stored views of each image.
VIEWS = 6
# Passes over the 50,000 images; a baseline takes as many steps at most.
_EPOCHS = 16
_BATCH_SIZE = 250
_TRAIN_PER_CLASS = 5_000
# Learning rate, kernel rate and share of the student's steps, by labels of each
# class. Longer trainings on 500 labels are worse, or diverge.
_BASELINES = {50: (0.75, 0.3, 0.5), 500: (0.5, 0.2, 1.0)}


def _baseline(config):
    """As many passes over the labelled images as the student's steps allow."""
    per_class = config.data.labels_per_class or _TRAIN_PER_CLASS
    config.student.epochs *= _TRAIN_PER_CLASS // per_class
    optimizer = config.baseline.optimizer
    if per_class in _BASELINES:
        rate, kernel_rate, share = _BASELINES[per_class]
        optimizer.learning_rate = rate
        optimizer.kernel_learning_rate = kernel_rate
        config.student.epochs = round(share * config.student.epochs)
    optimizer.warmup_epochs = config.student.epochs / 5


def _embeds(config):
    """The backbone as the teacher, which has no classes."""
    config.teacher.path = "runs/few_labels/efficientnet_lite0.onnx"
    config.teacher.outputs = "features"
    config.teacher.image_size = 224


def _probe(config):
    _embeds(config)
    config.teacher.backbone, config.teacher.path = config.teacher.path, ""


def _relabelled(config):
    """All images have a label, which a student predicts."""
    _probe(config)
    config.data.labels_per_class = 0


def _features(config):
    _embeds(config)
    _matches_features(config)


def _head(config):
    config.teacher.outputs = "features"
    config.teacher.backbone = (
        "runs/few_labels/features/seed0/cifar10_few_labels_student"
    )


def _matches_features(config):
    config.distill.features.loss = "queue_kl"


# The fields that each kind of experiment changes.
_KINDS = {
    "baseline": _baseline,
    "probe": _probe,
    "soft": lambda config: None,
    "probe2": _relabelled,
    "soft2": lambda config: None,
    "features": _features,
    "head": _head,
    "both": _matches_features,
}
# Kinds that have one experiment alone, and its name.
_SINGLE = {
    "probe2": "probe2_50",
    "soft2": "soft2_50",
    "features": "features",
}
EXPERIMENTS = [
    f"{kind}_{labels}"
    for kind in _KINDS
    if kind not in _SINGLE
    for labels in LABELS
] + list(_SINGLE.values())


def get_config(experiment="soft_50"):
    check_choice(experiment, EXPERIMENTS, what="the experiment")
    kind, _, labels = experiment.partition("_")
    config = recipes.load("cifar10")
    config.name = "cifar10_few_labels"
    config.data.labels_per_class = LABELS[labels] if labels else 0
    # Runs of all seeds see the same views, so they share a store.
    config.data.augment.seed = 0
    config.store.views = VIEWS
    config.student.epochs = _EPOCHS
    config.student.batch_size = _BATCH_SIZE
    config.student.optimizer.warmup_epochs = _EPOCHS / 5
    config.distill.temperature = 2.0
    config.distill.final_temperature = 1.0
    _KINDS[kind](config)
    return config

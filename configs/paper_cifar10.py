"""CIFAR-10: an ensemble distilled into one network, and 3 % of the data.

    make paper

runs all experiments with their seeds and writes `docs/paper.md`, which has the
results, the hardware and the times. One experiment is a recipe of the trainer:

    python -m kd_keras.train --stage=teacher --config=paper_cifar10:member

Source: Hinton, Vinyals and Dean (2015), sections 4 and 6
(https://arxiv.org/abs/1503.02531), on other data. The members of the ensemble,
which are also the single networks on labels, and the distilled networks have
one architecture and train on the same 10,000 images, by the recipe of
`configs/cifar10.py`. Members train for 40 epochs, after which they classify
99.5 to 99.7 % of these images correctly; distilled networks train for 160.

Expected of the ensemble's students: 67 to 74 % of the ensemble's gain in errors
on 40,000 images that neither members nor students have seen.

The choice of all settings: `docs/experiments/paper_cifar10.md`.
"""

from kd_keras.config import recipes
from kd_keras.utils.suggestions import check_choice

# For the networks that are distilled from the ensemble.
_DISTILLED = {
    "data.cutmix": 0.5,
    "distill.final_temperature": 1.0,
    "store.views": 40,
    "student.epochs": 160,
    "student.optimizer.warmup_epochs": 32.0,
}
# 1,500 images, and 5,000 others to stop early on.
_THREE_PERCENT = {
    "data.max_train_examples": 0,
    "data.validation_examples": 5_000,
    "transfer.fraction": 1 / 30,
    "student.epochs": 100,
    "student.batch_size": 128,
    "student.optimizer.warmup_epochs": 1.6,
    "baseline.optimizer.warmup_epochs": 1.6,
    "store.path": "",
    "baseline.optimizer.learning_rate": 0.1,
    # A shorter run then equals the first epochs of a longer one.
    "baseline.optimizer.schedule": "constant",
}
# The fields that each experiment changes.
EXPERIMENTS = {
    "member": {},
    "ensemble_arithmetic": {"teacher.mean": "arithmetic", **_DISTILLED},
    "ensemble_geometric": {"teacher.mean": "geometric", **_DISTILLED},
    "three_percent_labels": _THREE_PERCENT,
    "three_percent_soft": _THREE_PERCENT,
    "three_percent_soft_mixed": {
        **_THREE_PERCENT,
        "data.cutmix": 0.5,
        "store.path": "auto",
        "store.views": 100,
        "student.epochs": 400,
        "student.optimizer.warmup_epochs": 6.4,
    },
}


def get_config(experiment="ensemble_arithmetic"):
    check_choice(experiment, EXPERIMENTS, what="the experiment")
    config = recipes.load("cifar10")
    config.name = "paper_cifar10"
    # Runs of all seeds see the same views, so they share a store.
    config.data.augment.seed = 0
    config.teacher.augment.seed = config.get_ref("seed").identity()
    config.data.max_train_examples = 10_000
    config.store.path = "auto"
    config.store.views = 20
    config.student.epochs = 40
    config.student.optimizer.warmup_epochs = 8.0
    # One temperature to the end, as in the paper.
    config.distill.final_temperature = 0.0
    # A member is the student's network with the baseline's recipe.
    config.teacher.widths = config.student.widths
    config.teacher.epochs = config.student.epochs
    config.teacher.augment.cutout = config.data.augment.cutout
    config.teacher.batch_size = config.student.batch_size
    config.baseline.optimizer.warmup_epochs = 8.0
    config.teacher.optimizer = (
        config.baseline.optimizer.copy_and_resolve_references()
    )
    config.update_from_flattened_dict(EXPERIMENTS[experiment])
    return config

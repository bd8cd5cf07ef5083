"""CIFAR-10: an ensemble distilled into one network, and 3 % of the data.

    make paper

runs them with their seeds and writes `docs/paper.md`. The members of the
ensemble, the single network on labels and the distilled one are of one
architecture, with the recipe of `configs/cifar10.py` in steps, on the same
10,000 pictures, of which a member has 99.7 % right at the end.

A first form of it, at commit befeb4a, had all 50,000 pictures and eight epochs
(four stored views): members 1,035 to 1,078 test errors, the ensemble 887, the
network distilled from it, one seed, 1,098. It was given up after that test
figure, on the guess, not tested, that eight epochs are too few; the present
form was fixed before any of its own test figures was read.

The ensemble's results are of before commit 7e5152a, when airbench's BatchNorm
still averaged over two or three batches (momentum 0.6).
"""

from configs import cifar10

# Of the networks that are distilled from the ensemble.
_DISTILLED = {
    "data.cutmix": 0.5,
    "distill.final_temperature": 1.0,
    "store.views": 40,
    "student.epochs": 160,
    "student.optimizer.warmup_epochs": 32.0,
}
# What an experiment changes.
EXPERIMENTS = {
    "member": {},
    "ensemble_arithmetic": {"teacher.mean": "arithmetic", **_DISTILLED},
    "ensemble_geometric": {"teacher.mean": "geometric", **_DISTILLED},
    # 1,500 pictures, and 5,000 others to stop early on.
    **{
        f"three_percent_{targets}": {
            "data.max_train_examples": 0,
            "data.validation_examples": 5_000,
            "transfer.fraction": 1 / 30,
            "student.epochs": 100,
            "student.batch_size": 128,
            "student.optimizer.warmup_epochs": 1.6,
            "baseline.optimizer.warmup_epochs": 1.6,
            "store.path": "",
            "baseline.optimizer.learning_rate": 0.1,
            # So that the first epochs of a run are those of a longer one.
            "baseline.optimizer.schedule": "constant",
        }
        for targets in ("labels", "soft")
    },
}


def get_config(experiment="ensemble_arithmetic"):
    if experiment not in EXPERIMENTS:
        raise ValueError(
            f"the experiment must be one of {', '.join(EXPERIMENTS)}. "
            f"Received: {experiment!r}"
        )
    config = cifar10.get_config()
    config.name = "paper_cifar10"
    # Runs of all seeds see the same views, and so share a store.
    config.data.augment.seed = 0
    config.teacher.augment.seed = config.get_ref("seed").identity()
    config.data.max_train_examples = 10_000
    config.store.path = "auto"
    config.store.views = 20
    config.student.epochs = 40
    config.student.optimizer.warmup_epochs = 8.0
    # One temperature to the end, as the paper's.
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

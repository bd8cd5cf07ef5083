"""CIFAR-10: three specialists that start from `savedmodels/cifar10_teacher`.

    python -m kd_keras.train --stage=specialist --config=cifar10_specialists

The command prints the sets of classes. At the temperature of 20 they come from
the clusters

    airplane automobile ship truck | bird frog | cat deer dog horse

and with four classes each the second also has cat and deer.

Measured, errors of 10,000 test images (AMD EPYC, one core, bfloat16; 8 minutes
for each specialist), by

    python -m experiments.paper --experiments=specialists

    generalist                                   621
    with its specialists                         614   (one seed)
    student of the generalist, four epochs     1,141   (1125, 1151, 1146)
    student of all together, four epochs       1,153   (1144, 1157, 1158)

The choice of all settings: `docs/experiments/cifar10_specialists.md`.
"""

from kd_keras.config import recipes


def get_config():
    config = recipes.load("cifar10")
    config.teacher.path = "savedmodels/cifar10_teacher"
    config.store.path = "auto"
    config.store.views = 2
    config.student.epochs = 4
    config.student.optimizer.warmup_epochs = 0.8
    # Students of all seeds see the same views, so they share a store.
    config.data.augment.seed = 0
    specialist = config.specialist
    specialist.num_specialists = 3
    specialist.num_classes = 4
    specialist.temperature = 20.0
    specialist.epochs = 2
    specialist.batch_size = 512
    # The generalist's optimizer, from a tenth of its peak.
    specialist.optimizer = (
        config.teacher.optimizer.copy_and_resolve_references()
    )
    specialist.optimizer.learning_rate = 0.075
    specialist.optimizer.warmup_epochs = 0.3
    return config

"""CIFAR-10: three specialists that start from `savedmodels/cifar10_teacher`.

    python -m kd_keras.train --stage=specialist \
        --config=configs/cifar10_specialists.py

The sets, which the command prints, follow from the generalist's predictions on
its training images, of which it has 99.4 % right (`kd_keras.evaluate` with
--split=train), and depend on the temperature of these: at T = 1 and
2 two clusters are single classes, seven or eight classes the third; at T = 8,
with four classes each, two clusters (airplane and ship, automobile and truck)
have the same four next to them. At T = 20 the clusters are

    airplane automobile ship truck | bird frog | cat deer dog horse

and with four classes each, by their mean covariance, the second has cat and
deer as well: two classes with two specialists.

Epochs and learning rate are a first guess. They cannot be chosen on held-out
images, since the generalist was trained on all 50,000. Measured, test errors of
10,000 (AMD EPYC, one core, bfloat16), by

    python -m experiments.paper --experiments=specialists

    generalist                                   621
    with its specialists                         614   (one seed)
    student of the generalist, four epochs     1,141   (1125, 1151, 1146)
    student of all together, four epochs       1,153   (1144, 1157, 1158)

A specialist trains for 8 minutes there.
"""

from kd_keras.config import recipes


def get_config():
    config = recipes.load("cifar10_fast")
    config.name = "cifar10"
    # Students of all seeds see the same views, and so share a store.
    config.data.augment.seed = 0
    specialist = config.specialist
    specialist.num_specialists = 3
    specialist.num_classes = 4
    specialist.temperature = 20.0
    specialist.epochs = 2
    specialist.batch_size = 512
    # The generalist's, from a tenth of its peak.
    specialist.optimizer = (
        config.teacher.optimizer.copy_and_resolve_references()
    )
    specialist.optimizer.learning_rate = 0.075
    specialist.optimizer.warmup_epochs = 0.3
    return config

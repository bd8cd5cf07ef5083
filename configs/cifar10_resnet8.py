"""ResNet-8, 78,666 parameters, from the stored predictions of a teacher.

    python -m kd_keras.label --config=cifar10_resnet8
    python -m kd_keras.train --config=cifar10_resnet8 \
        --stage=student --config.store.path=runs/cifar10_resnet8/store
    python -m kd_keras.train --config=cifar10_resnet8 --stage=baseline

The store holds the same logits as a store of `configs/cifar10.py`.

Measured, errors of 10,000 test images with seeds 0, 1, 2 (AMD EPYC, bfloat16,
one core beside other work; median seconds of training):

    student   no label   1227, 1217, 1252   87.68 % ± 0.18    423 s
    baseline  labels     1403, 1410, 1412   85.92 % ± 0.05    418 s

The choice of all settings: `docs/experiments/cifar10_resnet8.md`.
"""

from kd_keras.config import recipes


def get_config():
    config = recipes.load("cifar10")
    config.name = "cifar10_resnet8"
    config.teacher.path = "savedmodels/cifar10_teacher"
    # Runs of all seeds see the same views, so they share a store.
    config.data.augment.seed = 0
    config.student.model = "resnet8"
    config.student.widths = ()
    config.student.batch_size = 128
    config.student.optimizer.learning_rate = 0.5
    config.baseline.optimizer.learning_rate = 0.75
    for role in ("student", "baseline"):
        config[role].optimizer.kernel_learning_rate = 0.09
        config[role].optimizer.weight_decay = 3e-3
    return config

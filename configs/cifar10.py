"""CIFAR-10: an airbench teacher, a student of a seventh of its parameters.

All stages:

    python -m kd_keras.train --config=cifar10

Source: airbench (https://arxiv.org/abs/2404.00498) without label smoothing,
lookahead and the larger learning rate of biases. The convolutions take Muon's
steps (`kd_keras.models.optimizers.Muon`), the learning rate falls to 0, the
averages of BatchNorm cover ten batches, and the teacher trains with cutout.

Measured on the 10,000 test images, which were read once in each run; student
and baseline with seeds 0, 1, 2; AMD EPYC, 2 cores (one for student and
baseline), bfloat16; median seconds of training:

    teacher   16 epochs   621 errors               93.79 %         1833 s
    student   10 epochs   958, 922, 904 errors     90.72 % ± 0.27    436 s
    baseline  10 epochs   1009, 1020, 1004 errors  89.89 % ± 0.08    422 s

With teacher.mirrored the student makes 901, 897, 932 errors (90.90 % ± 0.19);
with distill.features.loss=cosine and a weight of 20, too, 889, 881, 893
(91.12 % ± 0.06); and with student.from_teacher, a kernel rate of 0.05 and a
warm-up of 1 epoch, 827, 842, 833 (91.66 % ± 0.08). With student.widths of 24,
92 and 106 besides (298,012 parameters), 813, 811, 816 (91.87 % ± 0.03).

The choice of all settings, and the commands of these runs:
`docs/experiments/cifar10.md`.
"""

from kd_keras.config import default_config


def get_config():
    config = default_config()
    config.name = "cifar10"
    config.precision = "auto"
    config.data.name = "cifar10"
    config.data.augment.translate = 2
    config.data.augment.mirror = "alternating"

    config.teacher.model = "airbench"
    config.teacher.widths = (64, 256, 256)
    config.teacher.augment.cutout = 8
    config.teacher.epochs = 16
    config.teacher.batch_size = 512
    _recipe(
        config.teacher.optimizer,
        learning_rate=0.75,
        kernel_learning_rate=0.13,
        warmup_epochs=2.0,
    )

    config.student.model = "airbench"
    config.student.widths = (32, 64, 128)
    config.student.epochs = 10
    config.student.batch_size = 256
    for optimizer in (config.student.optimizer, config.baseline.optimizer):
        _recipe(
            optimizer,
            learning_rate=0.375,
            kernel_learning_rate=0.17,
            warmup_epochs=2.0,
        )
    config.distill.temperature = 8.0
    config.distill.final_temperature = 1.0
    return config


def _recipe(optimizer, *, learning_rate, kernel_learning_rate, warmup_epochs):
    """airbench's SGD (source: `kd_keras.models.networks.airbench`), and Muon's
    steps for the convolutions."""
    optimizer.name = "muon"
    optimizer.learning_rate = learning_rate
    optimizer.kernel_learning_rate = kernel_learning_rate
    optimizer.momentum = 0.85
    optimizer.weight_decay = 9e-3
    optimizer.schedule = "linear"
    optimizer.warmup_epochs = warmup_epochs

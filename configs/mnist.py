"""The quickstart: MNIST, from the data in the package.

    python -m kd_keras.train

Measured, seed 0, errors of 10,000 test images and seconds of training (AMD
EPYC, 2 cores, float32); about 2 minutes in all:

    teacher      77 errors   62 s
    student     106 errors   35 s
    baseline    234 errors   18 s

The teacher learns from 55,000 labels, the baseline from 1,000. The choice of
the settings: `docs/experiments/mnist.md`.
"""

from kd_keras.config import default_config


def get_config():
    config = default_config()
    config.name = "mnist"
    config.data.name = "mnist"
    config.data.validation_examples = 5000
    config.data.augment.translate = 2

    config.teacher.model = "cnn"
    config.teacher.widths = (32, 64)
    config.teacher.epochs = 5
    config.teacher.batch_size = 256
    config.teacher.optimizer.learning_rate = 4e-3
    config.teacher.optimizer.warmup_epochs = 0.5

    config.student.model = "cnn_tiny"
    config.student.epochs = 5
    config.student.batch_size = 256
    config.student.optimizer.learning_rate = 1e-2
    config.student.optimizer.warmup_epochs = 0.5

    config.baseline.labels_per_class = 100
    # As many steps as the student takes.
    config.baseline.labelled_passes = 55
    config.baseline.optimizer.learning_rate = 5e-3
    config.baseline.optimizer.weight_decay = 3.0
    config.baseline.optimizer.warmup_epochs = 0.5
    return config

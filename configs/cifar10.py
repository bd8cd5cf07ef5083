"""The seed experiment on CIFAR-10: airbench teacher, airbench student."""

from kd_keras.config import default_config


def get_config():
    config = default_config()
    config.name = "cifar10"
    config.precision = "auto"
    config.data.name = "cifar10"
    config.data.augment.translate = 2
    config.data.augment.mirror = "alternating"

    config.teacher.model = "airbench"
    config.teacher.widths = (64, 128, 128)
    config.teacher.epochs = 30
    config.teacher.batch_size = 512
    _recipe(config.teacher.optimizer, learning_rate=0.75, warmup_epochs=5.0)

    config.student.model = "airbench"
    config.student.widths = (32, 64, 128)
    config.student.epochs = 10
    config.student.batch_size = 256
    _recipe(config.student.optimizer, learning_rate=0.375, warmup_epochs=2.0)
    _recipe(config.baseline.optimizer, learning_rate=0.375, warmup_epochs=2.0)
    config.distill.temperature = 8.0
    return config


def _recipe(optimizer, *, learning_rate, warmup_epochs):
    """airbench's optimizer (the source is in `kd_keras.models.airbench`)."""
    optimizer.name = "sgd"
    optimizer.learning_rate = learning_rate
    optimizer.momentum = 0.85
    optimizer.weight_decay = 9e-3
    optimizer.schedule = "linear"
    optimizer.warmup_epochs = warmup_epochs

"""Specialists on twenty classes: MNIST's digits and Fashion-MNIST's clothes.

make paper
"""

from kd_keras.config import default_config


def get_config():
    config = default_config()
    config.name = "paper_twenty"
    config.data.name = "mnist+fashion_mnist"
    config.data.augment.translate = 2

    config.teacher.model = "cnn"
    config.teacher.widths = (32, 64)
    config.teacher.epochs = 10
    config.teacher.batch_size = 256
    config.teacher.optimizer.learning_rate = 4e-3
    config.teacher.optimizer.warmup_epochs = 0.5

    specialist = config.specialist
    specialist.num_specialists = 4
    specialist.num_classes = 5
    specialist.temperature = 4.0
    specialist.epochs = 4
    specialist.batch_size = 256
    specialist.optimizer.learning_rate = 1e-3
    specialist.optimizer.warmup_epochs = 0.5

    config.student.model = "cnn"
    config.student.widths = (32, 64)
    config.student.epochs = 10
    config.student.batch_size = 256
    config.student.optimizer.learning_rate = 1e-2
    config.student.optimizer.warmup_epochs = 0.5
    return config

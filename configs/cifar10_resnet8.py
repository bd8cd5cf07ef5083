"""ResNet-8, 78,666 parameters, from the CIFAR-10 teacher.

    python -m kd_keras.train --config=configs/cifar10_resnet8.py --stage=student
    python -m kd_keras.train --config=configs/cifar10_resnet8.py \
        --stage=baseline

Not measured yet: optimizer and temperature are those of `configs/cifar10.py`.
"""

from configs import cifar10


def get_config():
    config = cifar10.get_config()
    config.name = "cifar10_resnet8"
    config.teacher.path = "savedmodels/cifar10_teacher"
    config.student.model = "resnet8"
    config.student.widths = ()
    config.student.batch_size = 256
    return config

"""ResNet-8, 78,666 parameters, from the CIFAR-10 teacher."""

from configs import cifar10


def get_config():
    config = cifar10.get_config()
    config.name = "cifar10_resnet8"
    config.teacher.path = "savedmodels/cifar10_teacher"
    config.student.model = "resnet8"
    config.student.widths = ()
    config.student.batch_size = 256
    return config

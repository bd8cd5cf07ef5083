"""CIFAR-10: three specialists that start from `savedmodels/cifar10_teacher`.

    python -m kd_keras.train --stage=specialist \
        --config=configs/cifar10_specialists.py

Of an earlier generalist, 93.14 % on test images and 99.1 % on those that it was
trained on, the covariance of the predictions there shows k-means nothing at
T = 1: seven or eight classes in one cluster, and single ones. At T = 8, the
first temperature of `configs/cifar10.py`, three clusters are

    airplane automobile ship truck | bird frog | cat deer dog horse

and with four classes each, by their mean covariance, the second has cat and
deer as well: two classes with two specialists.

The specialists are not trained yet: no accuracy is measured, and epochs and
learning rate are a first guess. They cannot be chosen on held-out images, since
this generalist was trained on all 50,000.
"""

from configs import cifar10_fast


def get_config():
    config = cifar10_fast.get_config()
    config.name = "cifar10"
    # Students of all seeds see the same views, and so share a store.
    config.data.augment.seed = 0
    specialist = config.specialist
    specialist.num_specialists = 3
    specialist.num_classes = 4
    specialist.temperature = 8.0
    specialist.epochs = 3
    specialist.batch_size = 512
    # The generalist's, from a tenth of its peak.
    specialist.optimizer = (
        config.teacher.optimizer.copy_and_resolve_references()
    )
    specialist.optimizer.learning_rate = 0.075
    specialist.optimizer.warmup_epochs = 0.3
    return config

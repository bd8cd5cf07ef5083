"""CIFAR-10 students without a label that train for many epochs.

    python -m kd_keras.train --config=cifar10_long --stage=student
    python -m kd_keras.train --config=cifar10_long --stage=baseline
    python -m kd_keras.train --config=cifar10_long:resnet8 --stage=student
    python -m kd_keras.train --config=cifar10_long:resnet12 --stage=student
    python -m kd_keras.train --config=cifar10_long:resnet20 --stage=student

`cifar10` and `cifar10_resnet8` define the first two networks (0.3 M and 0.08 M
parameters). ResNet-12 has as many parameters and operations as the first. The
first command for a student stores ten views of each image in `<workdir>/store`,
labelled by the shipped teacher. Its label is the mean of its predictions for a
view and for the mirror image.

Results and trials: `docs/experiments/cifar10_long.md`.
"""

from kd_keras.config import recipes
from kd_keras.utils.suggestions import check_choice

# The recipe and the epochs of each network.
_NETWORKS = {
    "airbench": ("cifar10", 120),
    "resnet8": ("cifar10_resnet8", 150),
    "resnet12": ("cifar10_resnet8", 120),
    "resnet20": ("cifar10_resnet8", 60),
}


def get_config(network="airbench"):
    check_choice(network, _NETWORKS, what="the network")
    recipe, epochs = _NETWORKS[network]
    config = recipes.load(recipe)
    config.name = "cifar10_long"
    if network != "airbench":
        config.name += f"_{network}"
        config.student.model = network
    config.teacher.path = "savedmodels/cifar10_teacher"
    config.teacher.precision = "auto"
    config.teacher.mirrored = True
    config.store.path = "auto"
    # Runs of all seeds see the same views, so they can share a store.
    config.data.augment.seed = 0
    config.data.augment.translate = 4
    config.student.epochs = epochs
    for optimizer in (config.student.optimizer, config.baseline.optimizer):
        optimizer.schedule = "cosine"
        optimizer.warmup_epochs = 5.0
        if network == "airbench":
            optimizer.kernel_learning_rate = 0.12
    return config

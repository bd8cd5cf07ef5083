"""CIFAR-10 students without a label that train for many epochs.

    python -m kd_keras.train --config=cifar10_long --stage=student
    python -m kd_keras.train --config=cifar10_long --stage=baseline
    python -m kd_keras.train --config=cifar10_long:resnet8 --stage=student
    python -m kd_keras.train --config=cifar10_long:resnet20 --stage=student

The networks are those of `cifar10` (0.3 M parameters) and `cifar10_resnet8`,
and ResNet-20. The first command for a student stores ten views of each image,
labelled by the shipped teacher, in `<workdir>/store`. The students but
ResNet-8 learn the mean of its predictions of a view and of its mirror image.

Results, and what was tried: `docs/experiments/cifar10_long.md`.
"""

from kd_keras.config import recipes
from kd_keras.utils.suggestions import check_choice

# The recipe and the epochs of each network.
_NETWORKS = {
    "airbench": ("cifar10", 120),
    "resnet8": ("cifar10_resnet8", 100),
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
    config.store.path = "auto"
    # Runs of all seeds see the same views, so they can share a store.
    config.data.augment.seed = 0
    config.data.augment.translate = 4
    config.student.epochs = epochs
    optimizers = [config[role].optimizer for role in ("student", "baseline")]
    for optimizer in optimizers:
        optimizer.warmup_epochs = 5.0
    if network != "resnet8":
        config.teacher.mirrored = True
        for optimizer in optimizers:
            optimizer.schedule = "cosine"
    if network == "airbench":
        for optimizer in optimizers:
            optimizer.kernel_learning_rate = 0.12
    return config

"""Architectures by name: they take images from 0 to 255 and return logits.

Every model normalises its own input with the constants of its training set,
so teacher and student may have different preprocessing, and an exported
model needs none. Only layers of Keras are used, so the `.keras` files load
without this package. BatchNorm is synchronized, since the moving statistics
of replicas would drift apart.

To add a family, write a file with a function of `image_shape`, `num_classes`,
`images` and the options that it takes, and enter it in `MODELS`.
"""

from kd_keras.models.networks.airbench import airbench
from kd_keras.models.networks.cnn import cnn, cnn_tiny
from kd_keras.models.networks.mlp import mlp
from kd_keras.models.networks.resnet import resnet8, resnet12, resnet20
from kd_keras.models.networks.resnet18 import resnet18

MODELS = {
    "mlp": mlp,
    "cnn": cnn,
    "cnn_tiny": cnn_tiny,
    "resnet8": resnet8,
    "resnet12": resnet12,
    "resnet20": resnet20,
    "resnet18": resnet18,
    "airbench": airbench,
}

__all__ = ["MODELS"]

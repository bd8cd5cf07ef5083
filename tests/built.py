"""Networks by name, built for random images."""

import numpy as np

from kd_keras.models import build

CIFAR = (32, 32, 3)


def make_images(count=64, *, shape=CIFAR, seed=0):
    """Images of a random colour with noise: uint8 `(count, *shape)`."""
    generator = np.random.default_rng(seed)
    smooth = generator.integers(0, 256, (count, 1, 1, shape[-1]))
    noise = generator.integers(-40, 41, (count, *shape))
    return np.clip(smooth + noise, 0, 255).astype("uint8")


def network(name, *, shape=CIFAR, num_classes=10, images=None, **options):
    return build.build_model(
        name,
        image_shape=shape,
        num_classes=num_classes,
        images=make_images(shape=shape) if images is None else images,
        **options,
    )

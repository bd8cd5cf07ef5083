"""Measures feature distillation against keras.distillation.

    python -m benchmarks.features [--rounds=5] [--images=2560]

ResNet-20 -> ResNet-8, mean squared error of the last pooled features (64
values in both), without a loss on predictions or labels, batch 256, random
images of 32 x 32. The contestants take turns; the first round is left out.
Prints the medians and their ratio.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kd_keras
from kd_keras.models import build

BATCH = 256


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=2560)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (options.images, 32, 32, 3), np.uint8)
    labels = random.integers(0, 10, options.images)
    models = contestants(images)
    rates = {name: [] for name in models}
    for _ in range(options.rounds + 1):
        for name, model in models.items():
            began = time.perf_counter()
            model.fit(images, labels, batch_size=BATCH, verbose=0)
            rates[name].append(len(images) / (time.perf_counter() - began))
    medians = {name: statistics.median(r[1:]) for name, r in rates.items()}
    for name, rate in medians.items():
        print(f"{name:22}{rate:>10,.0f} images/s")
    ours, theirs = medians.values()
    print(f"{'ratio':22}{ours / theirs:>10.2f}")


def contestants(images):
    """The two models by name, compiled; ours is first."""
    ours, teacher = _network("resnet8", images), _network("resnet20", images)
    theirs = keras.models.clone_model(ours)
    distiller = kd_keras.Distiller(
        ours,
        teacher,
        soft_loss=None,
        features=[kd_keras.FeatureMatch(loss="mse", projection="none")],
    )
    distiller.compile(keras.optimizers.SGD(0.01))
    other = keras.distillation.Distiller(
        teacher,
        theirs,
        distillation_losses=keras.distillation.FeatureDistillation(
            "mse", _last_pooled(teacher), _last_pooled(theirs)
        ),
        # 0 leaves out the loss on labels, as ours does.
        student_loss_weight=0.0,
    )
    other.compile(
        keras.optimizers.SGD(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return {"kd_keras": distiller, "keras.distillation": other}


def _network(name, images):
    return build.build_model(
        name, image_shape=(32, 32, 3), num_classes=10, images=images[:256]
    )


def _last_pooled(network):
    return network.layers[-2].name


if __name__ == "__main__":
    main()

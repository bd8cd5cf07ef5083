"""Small runs of the paper's experiments, for tests."""

import keras

from experiments.paper import catalogue

# Changed fields of all runs on MNIST, so that they take seconds, not hours.
TINY = {
    # A teacher that is no better than chance is refused.
    "teacher.widths": (32, 32),
    "teacher.epochs": 2,
    "teacher.batch_size": 64,
    "teacher.optimizer.learning_rate": 1e-2,
    "student.widths": (8, 8),
    "student.epochs": 2,
    "student.batch_size": 16,
}


def measure(lab, *names):
    """The results of seed 0 of several experiments."""
    return [lab.result(catalogue.EXPERIMENTS[name], 0) for name in names]


def load(path):
    return keras.models.load_model(path, compile=False)

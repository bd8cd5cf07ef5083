"""Knowledge distillation for Keras and TensorFlow."""

import importlib
import os

from kd_keras.utils import provenance

__version__ = "0.2.0"

_PUBLIC = {
    "Distiller": "kd_keras.distillation.distiller",
    "FeatureMatch": "kd_keras.distillation.feature_matching",
    "LogitStore": "kd_keras.store.reader",
    "check_teacher": "kd_keras.training.teacher_measure",
    "evaluate_model": "kd_keras.evaluation.comparison",
    "load_teacher": "kd_keras.teachers.loading",
    "load_weights": "kd_keras.teachers.starting_weights",
    "losses": "kd_keras.distillation.losses",
    "resized": "kd_keras.models.resizing",
    "start_from_teacher": "kd_keras.models.channel_pruning",
}

__all__ = [*_PUBLIC]

# TensorFlow will start as many threads for operations as there are cores. A
# teacher that is a Python function holds one of them while it waits for
# TensorFlow's operations inside: forever, if it is the only one.
if provenance.threads() == 1:
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")


def __getattr__(name):
    # On first use: importing the package, or asking a command line for its
    # --help, does not wait for TensorFlow.
    if name not in _PUBLIC:
        raise AttributeError(f"module 'kd_keras' has no attribute {name!r}")
    module = importlib.import_module(_PUBLIC[name])
    return module if name == "losses" else getattr(module, name)


def __dir__():
    return [*globals(), *__all__]

"""The stages of a run.

Only names here, so that `--help` lists them without importing TensorFlow.
"""

import importlib

# Where each stage's class is.
STAGES = {
    "teacher": "kd_keras.training.stages.teacher:TeacherStage",
    "student": "kd_keras.training.stages.student:StudentStage",
    "baseline": "kd_keras.training.stages.baseline:BaselineStage",
    "specialist": "kd_keras.training.stages.specialists:SpecialistsStage",
}
# The stages of `--stage=all`, in this order.
ALL = ("teacher", "student", "baseline")


def stage_class(name):
    """The class of a stage, a subclass of `base.Stage`."""
    module, _, class_name = STAGES[name].partition(":")
    return getattr(importlib.import_module(module), class_name)

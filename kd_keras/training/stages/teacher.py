"""The teacher stage: the teacher's network, trained on labels."""

from kd_keras.data import augmentation
from kd_keras.distillation import trainer
from kd_keras.training.stages import base, probe, training_stage

# Fields of `teacher` about the teacher that a student learns from.
STUDENT_FIELDS = (
    "path",
    "outputs",
    "signature",
    "preprocess",
    "resize",
    "classes",
    "precision",
    "mean",
    "mirrored",
    "weights",
    "backbone",
    "backbone_layer",
)


class TeacherStage(training_stage.TrainingStage):
    """Trains the teacher on labels."""

    name = role = section = "teacher"
    exports_features = True

    @classmethod
    def variant(cls, config):
        return probe.ProbeStage if config.teacher.backbone else cls

    @staticmethod
    def config_fields(config):
        return {
            "data": base.without(config.data, "augment", "mixup", "cutmix"),
            "teacher": base.without(config.teacher, *STUDENT_FIELDS),
        }

    @property
    def view_spec(self):
        return augmentation.ViewSpec(**self.config.teacher.augment)

    def make_trainer(self, network, steps_per_epoch):
        return trainer.SupervisedTrainer(network)

    def card_sentence(self, report):
        return "Trained on labels."

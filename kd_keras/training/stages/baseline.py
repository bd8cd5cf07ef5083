"""The baseline stage: the student's network, trained on labels."""

from kd_keras.data import augmentation, few_labels
from kd_keras.distillation import trainer
from kd_keras.training.stages import base, training_stage


class BaselineStage(training_stage.TrainingStage):
    """Trains the student's network on labels, to compare the student with."""

    name = "baseline"
    role = section = "student"
    uses_transfer_set = True
    weights_path = staticmethod(lambda config: config.student.weights)
    quantizer = staticmethod(lambda config: config.student.quantize)

    @staticmethod
    def config_fields(config):
        return {
            "data": base.without(config.data, "mixup", "cutmix"),
            "transfer": config.transfer,
            "student": base.without(
                config.student, "optimizer", "weights", "from_teacher"
            ),
            "baseline": config.baseline,
        }

    @property
    def few_labels(self):
        return few_labels.of_baseline(self.config)

    @property
    def view_spec(self):
        return augmentation.ViewSpec(**self.config.data.augment)

    def make_trainer(self, network, steps_per_epoch):
        return trainer.SupervisedTrainer(network)

    def card_sentence(self, report):
        return (
            f"The student's network trained on labels.{self.rounding_sentence}"
        )

"""The training of one specialist, which starts from the generalist."""

import logging

import numpy as np

from kd_keras.data import augmentation, enriched
from kd_keras.distillation import specialists
from kd_keras.training import run_directory
from kd_keras.training.stages import base, training_stage

_log = logging.getLogger(__name__)


def name_of(config, index):
    """The name of the model of one specialist: str."""
    return f"{config.name}_specialist_{index}"


class SpecialistFields:
    """The configuration of a stage for one specialist or for all of them."""

    name = section = "specialist"
    role = "teacher"

    @staticmethod
    def config_fields(config):
        # The fingerprint identifies the generalist's file and training.
        teacher_fields = (
            "model",
            "image_size",
            "widths",
            "dropout",
            "max_norm",
            "augment",
            "outputs",
        )
        return {
            "data": base.without(config.data, "augment", "mixup", "cutmix"),
            "teacher": {key: config.teacher[key] for key in teacher_fields},
            "specialist": base.without(config.specialist, "only"),
        }

    @property
    def view_spec(self):
        return augmentation.ViewSpec(**self.config.teacher.augment)


class Specialist(SpecialistFields, training_stage.TrainingStage):
    """Trains one specialist.

    Args:
        context: `prepare.Context`.
        index: int, the index of the specialist.
        classes: list of int, its classes.
        inputs: dict that identifies the generalist, for the record.
        generalist: `LiveAnswers`, for the soft targets.
        initial_weights: list of arrays, the generalist's weights.
    """

    def __init__(
        self, context, *, index, classes, inputs, generalist, initial_weights
    ):
        super().__init__(context)
        self.classes = classes
        self.answers = generalist
        self._inputs = inputs
        self._initial_weights = initial_weights
        self.model_name = name_of(self.config, index)
        self.run_dir = run_directory.RunDir(
            context.workdir / self.name / str(index), self.name
        )
        whole, share = self.train, self.fields.special_share
        self.train = enriched.EnrichedExamples(whole, classes, share=share)
        self._check_size()
        self._prior = float(np.mean(np.isin(whole.labels, classes)))
        self._log_oversampling = specialists.log_oversampling(
            share=share, prior=self._prior
        )

    def run(self, *, restart):
        _log.info(
            "%s: %s, of classes %s", self.name, self.model_name, self.classes
        )
        return super().run(restart=restart)

    def find_inputs(self):
        return {**self._inputs, "classes": self.classes}

    def build(self, num_classes):
        network = super().build(num_classes)
        network.set_weights(self._initial_weights)
        return network

    def make_trainer(self, network, steps_per_epoch):
        return specialists.SpecialistTrainer(
            network,
            self.answers.function,
            classes=self.classes,
            log_oversampling=self._log_oversampling,
            temperature=self.fields.temperature,
            soft_loss_weight=self.fields.soft_loss_weight,
        )

    def report_details(self):
        return {
            "model": self.model_name,
            "classes": self.classes,
            "prior": self._prior,
            "log_oversampling": self._log_oversampling,
        }

    def card_sentence(self, report):
        return (
            "A generalist, trained further with labels on the classes "
            f"{report['classes']}, and held to its own softened predictions "
            "on examples of other classes."
        )

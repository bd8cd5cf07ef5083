"""The student stage: distillation from a frozen teacher."""

import functools
import logging

import keras

from kd_keras import config as config_lib
from kd_keras import store
from kd_keras.data import augmentation, pipeline
from kd_keras.distillation import distiller, losses
from kd_keras.evaluation import predict
from kd_keras.models import channel_pruning
from kd_keras.store import manifest
from kd_keras.teachers import answers as answers_lib
from kd_keras.training import (
    answers,
    cluster,
    feature_targets,
    labelling,
    publishing,
    teacher_files,
    teacher_network,
    teacher_paths,
)
from kd_keras.training.stages import base, teacher, training_stage
from kd_keras.utils import digests, remote

_log = logging.getLogger(__name__)


class StudentStage(training_stage.TrainingStage):
    """Trains the student on the teacher's softened predictions."""

    name = role = section = "student"
    uses_transfer_set = True
    weights_path = staticmethod(lambda config: config.student.weights)
    quantizer = staticmethod(lambda config: config.student.quantize)

    @property
    def uses_labels(self):
        return config_lib.uses_labels(self.config)

    @property
    def activation(self):
        return losses.activation_of(self.config.distill.loss)

    @property
    def class_names(self):
        # Images without labels are of the teacher's classes.
        return super().class_names or self.answers.class_names

    @staticmethod
    def config_fields(config):
        return {
            "data": config.data,
            "transfer": config.transfer,
            # Files are identified by fingerprints, not by paths.
            "student": base.without(config.student, "weights", "from_teacher"),
            "distill": config.distill,
            "teacher": {
                key: config.teacher[key]
                for key in teacher.STUDENT_FIELDS
                if key not in ("path", "backbone", "backbone_layer")
            },
        }

    @property
    def view_spec(self):
        data = self.config.data
        return augmentation.ViewSpec(
            **data.augment, mixup=data.mixup, cutmix=data.cutmix
        )

    @classmethod
    def check_config(cls, config, *, savedmodels, stages):
        super().check_config(config, savedmodels=savedmodels, stages=stages)
        if config.student.from_teacher:
            teacher_network.path_of(config, savedmodels)
        is_replaced = config.store.path not in ("", "auto")
        loss = config.distill.loss
        if (
            losses.activation_of(loss) == "sigmoid"
            and not config.teacher.path
            and not is_replaced
        ):
            raise ValueError(
                f"distill.loss={loss} needs teacher.path, a teacher with one "
                "logit; the teacher stage trains one with a logit for each "
                "class. Received: none"
            )
        if config.teacher.path or not (is_replaced or "teacher" in stages):
            teacher_paths.check(config, savedmodels)
        if is_replaced and not remote.is_remote(config.store.path):
            store.LogitStore.open(config.store.path)

    def check(self):
        super().check()
        count = self.train.num_classes
        if self.activation == "sigmoid" and count not in (None, 2):
            raise ValueError(
                f"distill.loss={self.config.distill.loss} needs data of two "
                "classes, or images without labels. Received: data of "
                f"{count} classes"
            )
        fields = self.config.store
        if fields.path == "auto":
            # Checked before the teacher trains, whose answers will be stored.
            labelling.check_top_k(self.config)
            if count:
                manifest.check_top_k(fields.top_k, count)

    def models_read(self):
        teachers = teacher_paths.of(self.config, self.context.savedmodels)
        return [
            *super().models_read(),
            *(("teacher.path", path) for path in teachers),
        ]

    def find_inputs(self):
        self.answers = answers.student_answers(
            self.context, self.parts, self.view_spec
        )
        if not self.has_logits:
            self._check_features_alone()
        return {**super().find_inputs(), **self.answers.record, **self._start()}

    def _start(self):
        """The entry of the record about the teacher that it starts from."""
        if not self.config.student.from_teacher:
            return {}
        weights = teacher_network.weights(self.context)
        return {"student.from_teacher": weights.fingerprint}

    @functools.cached_property
    def matches(self):
        """The features that are matched: list of `FeatureMatch`."""
        return feature_targets.matches(self.config)

    @property
    def has_logits(self):
        return self.answers.has_logits

    def _check_features_alone(self):
        if not self.matches:
            raise ValueError(
                "a teacher of features without logits needs "
                "distill.features.loss, such as cosine. Received: none"
            )
        if self.uses_labels:
            raise ValueError(
                "distill.hard_loss_weight must be 0 with a teacher of features "
                "without logits: the student has no classifier. Received: "
                f"{self.config.distill.hard_loss_weight:g}; fit one afterwards "
                "with teacher.backbone"
            )

    def find_num_classes(self):
        known = teacher_files.num_logits(self.activation, self.train)
        if self.has_logits:
            return self.answers.num_classes or known
        # For a head that is cut off after training.
        return known or 2

    def make_trainer(self, network, steps_per_epoch):
        fields = self.config.distill

        def schedule(start, end):
            # An extension keeps the value that the first part ended with.
            steps = steps_per_epoch * self.ends[0]
            return keras.optimizers.schedules.PolynomialDecay(start, steps, end)

        temperature, weight = fields.temperature, fields.hard_loss_weight
        if fields.final_temperature:
            temperature = schedule(temperature, fields.final_temperature)
        if fields.final_hard_loss_weight >= 0:
            weight = schedule(weight, fields.final_hard_loss_weight)
        teacher = self.answers.function
        # Set again: loading a teacher draws from the seed, so projections
        # would differ from those with a store.
        keras.utils.set_random_seed(self.config.seed)
        return distiller.Distiller(
            network,
            teacher,
            temperature=temperature,
            hard_loss_weight=weight,
            features=self.matches,
            feature_shapes=self.answers.feature_shapes,
            **self._soft_loss(),
        )

    def _soft_loss(self):
        if not self.has_logits:
            return {"soft_loss": None}
        return {
            "soft_loss": self.config.distill.loss,
            "soft_loss_options": config_lib.loss_options(self.config),
        }

    def training_batches(self, first_epoch, first_step):
        return super().training_batches(
            first_epoch,
            first_step,
            view_of=self.view_of,
            join=self.answers.join,
        )

    def validation_batches(self):
        if "validation" not in self.parts:
            return None
        examples = self.parts["validation"]
        teacher_answers = self.answers.part("validation")
        if teacher_answers is None:
            return None
        # Every epoch validates on the same images: they are predicted once.
        strategy = self.context.strategy
        own = pipeline.own_examples(examples, strategy)
        outputs = predict.answers_to(teacher_answers, own)
        return pipeline.evaluation_batches(
            examples,
            join=lambda batches: answers_lib.join_by_id(
                batches, own.ids, outputs
            ),
            strategy=strategy,
        )

    def initialise(self, network, num_classes):
        if not self.config.student.from_teacher:
            return
        start = publishing.build_in_float32(self, num_classes)
        count = channel_pruning.images_needed(self.train.image_shape)
        _log.info(
            "student: fits its layers to the teacher's, on %s images",
            f"{min(count, len(self.train)):,}",
        )
        agreement = channel_pruning.start_from_teacher(
            start,
            teacher_network.load(self.context, self.train, num_classes),
            self.train.sample(count),
        )
        _log.info(
            "student: starts from channels of its teacher: the same answer for "
            "%.1f %% of these images",
            100 * agreement,
        )
        arrays = start.get_weights()
        cluster.agree(
            self.context.strategy,
            {"the student's start": digests.sha256_of_arrays(*arrays)},
        )
        network.set_weights(arrays)

    def view_of(self, epoch):
        return self.answers.view_of(epoch)

    def sample_predictions(self, network, ids, view, images):
        if not self.has_logits:
            return {}
        logits = {
            "teacher": self.answers(ids, view, images).logits,
            "student": network(images, training=False),
        }
        temperature = self.config.distill.temperature
        return {
            role: losses.soften(
                logits=values,
                temperature=temperature,
                activation=self.activation,
            )
            for role, values in logits.items()
        }

    def card_sentence(self, report):
        labels = "without labels."
        if self.config.distill.hard_loss_weight:
            labels = "with labels beside them."
        learned = "softened predictions" if self.has_logits else "features"
        if self.has_logits and self.matches:
            learned += " and features"
        start = ""
        if self.config.student.from_teacher:
            start = " It started from channels of the teacher's layers."
        return (
            f"Trained on the {learned} of a frozen teacher, {labels}{start}"
            f"{self.rounding_sentence}"
        )

    def _label_user(self):
        return "the student stage with distill.hard_loss_weight"

"""The specialist stage: all specialists, and the model that combines them."""

import keras
import numpy as np
import tensorflow as tf

from kd_keras.distillation import losses, specialists
from kd_keras.evaluation import predict
from kd_keras.models import macs
from kd_keras.teachers import loading
from kd_keras.training import (
    answers,
    cluster,
    extension,
    publishing,
    teacher_files,
    teacher_paths,
)
from kd_keras.training.stages import base, specialist

# Images on which a network with the generalist's weights must agree with the
# generalist, and the largest difference of a logit that is rounding.
_COMPARED_IMAGES = 64
_LOGIT_TOLERANCE = 1e-2


class SpecialistsStage(specialist.SpecialistFields, base.Stage):
    """Trains all specialists, and combines them with the generalist."""

    def __init__(self, context):
        super().__init__(context)
        self.model_name = f"{self.config.name}_specialists"
        self._files = None

    @classmethod
    def check_config(cls, config, *, savedmodels, stages):
        super().check_config(config, savedmodels=savedmodels, stages=stages)
        if config.teacher.path or "teacher" not in stages:
            teacher_paths.check(config, savedmodels)

    def directories(self):
        """The stage's and the specialists', or only the chosen specialist's."""
        path, only = self.run_dir.path, self.fields.only
        if only >= 0:
            return [path / str(only)]
        members = range(self.fields.num_specialists)
        return [path, *(path / str(index) for index in members)]

    def exports(self):
        """The combination's name and the specialists', or only the chosen's."""
        only = self.fields.only
        if only >= 0:
            return [specialist.name_of(self.config, only)]
        members = range(self.fields.num_specialists)
        names = [specialist.name_of(self.config, index) for index in members]
        return [self.model_name, *names]

    def plan(self):
        # Specialists that were trained one by one have no combination yet.
        if self.fields.only < 0 and self.run_dir.config_path.exists():
            super().plan()

    def run(self, *, restart):
        """As `Stage.run`; with `specialist.only`, trains one specialist."""
        depends_on = self.find_depends_on()
        only = self.fields.only
        report = None
        if not restart and only < 0:
            report = self.finished_report(depends_on)
        if report is None:
            self.check_paths(restart and only < 0, depends_on)
        self.agree(depends_on, report)
        if report is not None:
            return report
        self.answers.open()
        generalist = self._build_generalist()
        members = self._members(generalist, self.answers.record)
        if only >= 0:
            if restart and self.is_chief:
                # The report is about a combination with the old specialist.
                self.run_dir.report_path.unlink(missing_ok=True)
            return members[only].run(restart=restart)
        self.start(depends_on, restart=restart)
        reports = [member.run(restart=False) for member in members]
        return self.report_by_chief(
            lambda: self._combine(generalist, members, reports)
        )

    def can_rebuild(self):
        return True  # of its members, which are checked

    def models_read(self):
        teachers = teacher_paths.of(self.config, self.context.savedmodels)
        return [("teacher.path", path) for path in teachers]

    def find_inputs(self):
        self._files = teacher_files.find(
            self.config,
            self.context.savedmodels,
            class_names=self.context.dataset.class_names,
            activation="softmax",
        )
        if len(self._files.paths) > 1:
            raise ValueError(
                "specialists must start from one generalist. Received: "
                f"teacher.path={self.config.teacher.path}"
            )
        self.answers = answers.live_answers(self._files, self.parts)
        return {**super().find_inputs(), **self.answers.record}

    def card_sentence(self, report):
        return (
            "A generalist and its specialists for the classes "
            f"{report['class_sets']}, as one prediction (eq. 5 of "
            "arXiv:1503.02531)."
        )

    def _check_size(self):
        """Nothing: each specialist checks its batch size by its own set."""

    def _build_generalist(self):
        """The generalist as a Keras model in float32."""
        network = publishing.build_in_float32(self, self.train.num_classes)
        path, fields = self._files.paths[0], self.network_fields
        weights = loading.network_weights(path)
        if [w.shape for w in weights] != [w.shape for w in network.weights]:
            raise ValueError(
                f"the generalist must be teacher.model={fields.model} with "
                f"teacher.widths={fields.widths}. Received: {path}, whose "
                "weights are of another network"
            )
        network.set_weights(weights)
        # Equal weights do not exclude, for example, other input constants.
        images = self.train.sample(_COMPARED_IMAGES)
        expected = self.answers.function(tf.constant(images))
        difference = np.abs(network(images, training=False) - expected).max()
        if not difference < _LOGIT_TOLERANCE:
            raise ValueError(
                f"teacher.model={fields.model} with the generalist's weights "
                "must predict as the generalist, which needs the data and "
                "the data.validation_examples that the generalist was "
                f"trained with. Received: {path}, whose logits differ by "
                f"{difference:.3g}"
            )
        return network

    def _members(self, generalist, inputs):
        """A `Specialist` for each set of confused classes."""
        # On another processor, rounding could change the confused classes.
        class_sets = cluster.on_chief(
            self.context.strategy, self._confused_classes
        )
        members = [
            specialist.Specialist(
                self.context,
                index=index,
                classes=classes,
                inputs=inputs,
                generalist=self.answers,
                initial_weights=generalist.get_weights(),
            )
            for index, classes in enumerate(class_sets)
        ]
        only = self.fields.only
        for member in members if only < 0 else [members[only]]:
            member.plan()
        return members

    def _confused_classes(self):
        """The classes of each specialist: list of lists of int."""
        predictions = losses.soften(
            logits=predict.logits_of(self.answers.function, self.train),
            temperature=self.fields.temperature,
        )
        return specialists.confusable_sets(
            predictions,
            num_sets=self.fields.num_specialists,
            num_classes=self.fields.num_classes,
            seed=self.config.seed,
        )

    def _combine(self, generalist, members, reports):
        """Exports the combination; returns its report."""
        class_sets = [member.classes for member in members]
        member_networks = [
            keras.models.load_model(member.run_dir.model_path, compile=False)
            for member in members
        ]
        final = specialists.combined_network(
            generalist, member_networks, class_sets
        )
        report = {
            **publishing.measured(self, final, macs.count_macs(final)),
            "seconds": round(sum(r["seconds"] for r in reports), 1),
            **extension.entries(self.ends),
            "model": self.model_name,
            "class_sets": class_sets,
            "by_coverage": self._accuracy_by_coverage(final, class_sets),
        }
        publishing.publish(self, final, report)
        return report

    def _accuracy_by_coverage(self, final, class_sets):
        """`specialists.accuracy_by_coverage` of validation and test."""
        rows = {}
        for name in ("validation", "test"):
            if name in self.parts:
                labels, logits, generalist_logits = predict.with_teacher(
                    final, self.answers.part(name), self.parts[name]
                )
                rows[name] = specialists.accuracy_by_coverage(
                    labels=labels,
                    generalist_logits=generalist_logits,
                    logits=logits,
                    class_sets=class_sets,
                )
        return rows

"""The teacher stage with a backbone: a linear head on its embeddings."""

import logging
import time

import tensorflow as tf

from kd_keras.data import augmentation
from kd_keras.deployment import saved_model as deployed
from kd_keras.evaluation import trained
from kd_keras.teachers import probe
from kd_keras.training import (
    embeddings,
    outcome,
    probing,
    publishing,
    teacher_measure,
)
from kd_keras.training.stages import base

_log = logging.getLogger(__name__)


class ProbeStage(base.Stage):
    """Fits a linear head to the embeddings of the labelled images."""

    name = role = section = "teacher"

    def __init__(self, context):
        super().__init__(context)
        self._embeddings = None

    @staticmethod
    def config_fields(config):
        # The fingerprint identifies the backbone, the store the views.
        return {
            "data": base.without(config.data, "augment", "mixup", "cutmix"),
            "teacher": {"backbone_layer": config.teacher.backbone_layer},
        }

    @property
    def view_spec(self):
        return augmentation.ViewSpec(**self.config.teacher.augment)

    @property
    def architecture(self):
        return f"a linear head on {self._embeddings.backbone or 'embeddings'}"

    @classmethod
    def check_config(cls, config, *, savedmodels, stages):
        # The checks of other stages are of a network and of epochs.
        embeddings.check(config)

    def check(self):
        self._check_labels()

    def plan(self):
        if self.context.extend:
            raise ValueError(
                "--extend trains for more epochs, which a probe teacher does "
                "not have. Received: teacher.backbone with --extend"
            )

    def models_read(self):
        return [("teacher.backbone", self.config.teacher.backbone)]

    def find_inputs(self):
        self._embeddings = embeddings.find(
            self.context, self.parts, self.view_spec
        )
        return {**super().find_inputs(), **self._embeddings.record}

    def find_depends_on(self):
        return {**self.depends_on(self.config), **self.find_inputs()}

    def can_rebuild(self):
        return True  # within seconds, from the stored embeddings

    def run(self, *, restart):
        depends_on = self.find_depends_on()
        report = None if restart else self.finished_report(depends_on)
        if report is None:
            self.check_paths(restart, depends_on)
        self.agree(depends_on, report)
        if report is not None:
            return report
        probing.check_labels(self.train.labels, self.train.num_classes)
        self._embeddings.open()
        self.start(depends_on, restart=restart)
        return self.report_by_chief(self._finish)

    def _finish(self):
        """Fits and exports the head; returns the stage's report."""
        start = time.monotonic()
        fitted = self._fit()
        head = self._probe(fitted.kernel, fitted.bias)
        report = self._report(head, fitted, time.monotonic() - start)
        publishing.publish(self, head.head_network(), report)
        return report

    def write_export(self, network, directory):
        """Writes the head and the record of the backbone.

        With a backbone that TensorFlow runs, the export is a SavedModel of
        both.
        """
        head = self._probe(*network.get_weights())
        probe.write(directory, head)
        if self._write_whole(head, directory):
            return ["features", "logits", "probabilities"]
        if head.backbone:
            _log.info(
                "%s: the export refers to %s, which TensorFlow does not run",
                self.name,
                head.backbone,
            )
        return ["logits"]

    def _write_whole(self, head, directory):
        """Writes head and backbone as a SavedModel, if that can be done."""
        if not head.backbone:
            return False
        try:
            teacher = probe.teacher_of(
                head.with_variables(), path=directory, features=("",)
            )
        # For example, the backbone's runtime is not installed, which stored
        # embeddings do not need.
        except ValueError as error:
            _log.warning("%s: %s", self.name, error)
            return False

        def serve(images):
            logits, (embedding,) = teacher.outputs(images)
            return {
                "logits": logits,
                "probabilities": tf.nn.softmax(logits),
                "features": embedding,
            }

        return deployed.write_function(
            serve,
            directory,
            image_shape=self.train.image_shape,
            dtype=self.train.image_spec.dtype,
        )

    def card_sentence(self, report):
        fitted = report["probe"]
        return (
            "A logistic regression on the embeddings of "
            f"{self._embeddings.backbone or 'a store'}, with C = "
            f"{fitted['strength']:.3g}, chosen by {fitted['chosen_by']}. An "
            "export without saved_model.pb holds the head alone."
        )

    def _fit(self):
        """Fits the head: `probing.Fitted`."""
        train, held_out = self.train, None
        if "validation" in self.parts:
            validation = self.parts["validation"]
            values = self._embeddings.of(validation, "validation")
            held_out = values[:, 0], validation.labels
        values = self._embeddings.of(train, "train")
        _log.info(
            "%s: fits a head to %d views of %s labelled images, %d numbers "
            "each",
            self.name,
            values.shape[1],
            f"{len(train):,}",
            values.shape[2],
        )
        fitted = probing.fit(
            values,
            train.labels,
            num_classes=train.num_classes,
            seed=self.config.seed,
            held_out=held_out,
        )
        _log.info("%s: %s", self.name, fitted.described())
        return fitted

    def _probe(self, kernel, bias):
        return probe.Probe(
            kernel=kernel,
            bias=bias,
            backbone=self._embeddings.backbone,
            options=self._embeddings.options,
            teacher=self._embeddings.teacher,
            layer=self._embeddings.layer,
        )

    def _report(self, head, fitted, seconds):
        """The entries of `report.json`: a dict."""
        labels = {
            name: part.labels
            for name, part in self.parts.items()
            if name != "train"
        } or {"train": self.train.labels}
        logits = {name: self._logits(head, name) for name in labels}
        # The test images if there are any, as for other stages.
        measured = min(labels)
        return {
            "stage": self.name,
            "parameters": head.kernel.size
            + head.bias.size
            + self._embeddings.count_parameters(),
            "macs": None,
            "images": self.train.image_spec.record(),
            **publishing.class_names(self),
            **trained.test_measures(
                labels.get("test"), logits=logits.get("test")
            ),
            **outcome.warning_about(
                labels=labels[measured],
                logits=logits[measured],
                images=f"{teacher_measure.NAMED[measured]} images",
            ),
            "seconds": round(seconds, 1),
            "epochs": 0,
            "probe": {
                **fitted.record(),
                "labels": len(self.train),
                "embedding": len(head.kernel),
            },
        }

    def _logits(self, head, part):
        """The logits of all examples of a part, of their first view."""
        embeddings = self._embeddings.of(self.parts[part], part)[:, 0]
        return head.logits(embeddings).numpy()

"""The base of the stages that train one network."""

import abc
import logging
import pathlib

import keras

from kd_keras.data import pipeline
from kd_keras.distillation import losses
from kd_keras.models import backbone, macs, quantization
from kd_keras.teachers import starting_weights, stored_layers
from kd_keras.training import extension, fitting, publishing
from kd_keras.training.stages import base
from kd_keras.utils import remote

_log = logging.getLogger(__name__)


class TrainingStage(base.Stage):
    """Trains one network from its initial weights to its report."""

    # Function of a configuration -> file that the network starts from.
    weights_path = staticmethod(lambda config: "")
    # Function of a configuration -> key of `quantization.QUANTIZERS`, or "".
    quantizer = staticmethod(lambda config: "")

    def __init__(self, context):
        super().__init__(context)
        self._starting_weights = None
        path = self.weights_path(self.config)
        if path:
            self._starting_weights = starting_weights.StartingWeights(
                path, field=f"{self.role}.weights"
            )

    @classmethod
    def check_config(cls, config, *, savedmodels, stages):
        super().check_config(config, savedmodels=savedmodels, stages=stages)
        path = cls.weights_path(config)
        earlier = stages[: stages.index(cls.name)]
        written = {*earlier, *(f"{config.name}_{name}" for name in earlier)}
        # An earlier stage may write the file.
        is_later = not written.isdisjoint(pathlib.PurePath(path).parts)
        if path and not remote.is_remote(path) and not is_later:
            stored_layers.check(path, field=f"{cls.role}.weights")

    @abc.abstractmethod
    def make_trainer(self, network, steps_per_epoch):
        """The uncompiled Keras model whose `fit` trains the network."""

    def run(self, *, restart):
        depends_on = self.find_depends_on()
        report = None if restart else self.finished_report(depends_on)
        if report is None:
            self.check_paths(restart, depends_on)
        self.agree(depends_on, report)
        if report is not None:
            return report
        num_classes = self.find_num_classes()
        keras.utils.set_random_seed(self.config.seed)
        network, model = fitting.compile_network(self, num_classes)
        num_macs = macs.count_macs(network)
        fitting.log_size(self, network, num_macs)
        if self._starting_weights is not None:
            _log.info(
                "%s: starts from %s: %s",
                self.name,
                self._starting_weights.path,
                self._loaded,
            )
        if restart or not self.can_rebuild():
            self.initialise(network, num_classes)
        # Not earlier: no store is written for a network that cannot be built.
        self.open_inputs()
        self.start(depends_on, restart=restart)
        fitting.fit(self, network, model)
        weights = network.get_weights()
        return self.report_by_chief(
            lambda: self._finish(weights, num_classes, num_macs)
        )

    def _finish(self, weights, num_classes, num_macs):
        """Exports the trained network; returns the stage's report."""
        final = publishing.build_in_float32(self, num_classes)
        final.set_weights(weights)
        if self.quantizer(self.config):
            final = quantization.finished(final)
        if not self.has_logits:
            final = backbone.backbone(final)
            num_macs = macs.count_macs(final)
        epochs = self.run_dir.metrics()
        report = {
            **publishing.measured(self, final, num_macs),
            "seconds": round(sum(epoch["seconds"] for epoch in epochs), 1),
            **extension.entries(self.ends),
            **self.report_details(),
        }
        publishing.publish(self, final, report)
        return report

    def models_read(self):
        path = self.weights_path(self.config)
        return [(f"{self.role}.weights", path)] if path else []

    def find_inputs(self):
        found = super().find_inputs()
        if self._starting_weights is not None:
            # The file is identified by its contents, not by its path.
            found[f"{self.role}.weights"] = self._starting_weights.fingerprint
        return found

    def build(self, num_classes):
        network = super().build(num_classes)
        if self._starting_weights is not None:
            self._loaded = self._starting_weights.load_into(network)
        kind = self.quantizer(self.config)
        return self._quantized(network, kind) if kind else network

    def initialise(self, network, num_classes):
        """Sets the weights of a network that was built, before its training.

        Args:
            network: Keras model, as `build` returns it.
            num_classes: int.
        """

    def _quantized(self, network, kind):
        """The network that rounds its weights and activations."""
        if self._loaded.skipped:
            raise ValueError(
                f"{self.role}.quantize needs a {self.role}.weights with every "
                f"layer of the network. Received: {self._loaded}"
            )
        spec = self.train.image_spec
        return quantization.QUANTIZERS[kind](network, (spec.low, spec.high))

    def find_num_classes(self):
        return self.train.num_classes

    def open_inputs(self):
        """Loads the teacher, or opens its store."""
        if self.answers is not None:
            self.answers.open()

    def training_batches(self, first_epoch, first_step, **options):
        """The batches from a step of the epoch `first_epoch` on."""
        passes, step = divmod(first_step, self.steps_per_epoch // self.passes)
        return pipeline.training_batches(
            self.train,
            batch_size=self.fields.batch_size,
            seed=self.config.seed,
            epochs=self.passes * self.fields.epochs,
            first_epoch=self.passes * first_epoch + passes,
            first_step=step,
            spec=self.view_spec,
            labels=self.uses_labels,
            strategy=self.context.strategy,
            **options,
        )

    def validation_batches(self):
        """The batches of the validation examples, or None without any."""
        if "validation" not in self.parts:
            return None
        return pipeline.evaluation_batches(
            self.parts["validation"], strategy=self.context.strategy
        )

    def view_of(self, epoch):
        """The number of the view that an epoch shows, or of its first view."""
        return self.passes * epoch

    def sample_predictions(self, network, ids, view, images):
        """Predictions of a view of some examples, for TensorBoard.

        Returns:
            dict of `teacher` and/or `student` to probabilities.
        """
        logits = network(images, training=False)
        return {self.role: losses.soften(logits=logits, temperature=1.0)}

    @property
    def rounding_sentence(self):
        """The end of `card_sentence` about the rounding: empty without it."""
        kind = self.quantizer(self.config)
        if not kind:
            return ""
        return (
            f" It trained with the rounding of its {kind} model, and rounds "
            "weights and activations itself."
        )

    def report_details(self):
        """Entries of the report that only this stage has: a dict."""
        return {}

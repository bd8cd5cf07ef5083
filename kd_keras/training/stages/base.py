"""The base of all stages: configuration, data and files."""

import abc
import logging
import pathlib

from kd_keras import config as config_lib
from kd_keras.data import few_labels, fingerprints, pipeline
from kd_keras.deployment import saved_model
from kd_keras.models import build
from kd_keras.training import (
    cluster,
    environments,
    extension,
    outcome,
    publishing,
    run_directory,
    teacher_files,
)
from kd_keras.utils import source_code, strategies

_log = logging.getLogger(__name__)


class Stage(abc.ABC):
    """A stage of a run, which ends with an exported model.

    A subclass defines the class attributes and the abstract methods, and
    overrides the others where it differs.

    Attributes:
        name: str, also the section of the configuration with the optimizer.
        role: `teacher` or `student`, the section with the network.
        section: str, the section with epochs and batch size.
        uses_transfer_set: bool; True trains on the transfer set.
        uses_labels: bool; False leaves the labels out of the training data.
        ends: tuple of ints, the epochs at which the parts of the training
            end: several if a run is extended, else one.
        answers: `LiveAnswers` or `StoredAnswers` of the teacher that the
            network is compared with, or None.
        has_logits: bool, False for a network that is trained to return
            features, without a classifier.
        exports_features: bool, whether the SavedModel also returns the last
            pooled features.
        activation: the activation of the network's logits: `softmax`, or
            `sigmoid` for logits that are a yes or no each.

    Args:
        context: `prepare.Context`.
    """

    name = role = section = None
    uses_transfer_set = False
    uses_labels = True
    answers = None
    has_logits = True
    exports_features = False
    activation = "softmax"

    def __init__(self, context):
        self.context = context
        self.config = config = context.config
        self.network_fields = config[self.role]
        self.fields = config[self.section]
        self.ends = (self.fields.epochs,)
        self._begins_part = False
        self.optimizer_fields = config[self.name].optimizer
        self.parts = context.parts
        if self.uses_transfer_set:
            self.parts = context.transfer_parts
        if self.few_labels:
            self.parts = self._with_few_labels()
        self.train = self.parts["train"]
        self.model_name = f"{config.name}_{self.name}"
        self.run_dir = run_directory.RunDir(
            context.workdir / self.name, self.name
        )

    @property
    def is_chief(self):
        """Whether this process writes the stage's files: bool."""
        return cluster.is_chief(self.context.strategy)

    @property
    def few_labels(self):
        """`few_labels.FewLabels`: which training examples have labels."""
        return few_labels.of_all(self.config)

    @property
    def passes(self):
        """Passes over the training examples that are one epoch: int."""
        if self.uses_labels and self.few_labels:
            return self.few_labels.passes
        return 1

    @property
    def steps_per_epoch(self):
        """The number of batches in an epoch: int."""
        return self.passes * pipeline.steps_per_epoch(
            len(self.train), self.fields.batch_size
        )

    @property
    def class_names(self):
        """The classes in the order of the logits: list of str, or None."""
        return self.context.dataset.class_names

    @property
    def architecture(self):
        """The name of the network, for its model card."""
        return self.network_fields.model

    @classmethod
    def variant(cls, config):
        """The class of the stage for a configuration: this or another one."""
        return cls

    @staticmethod
    @abc.abstractmethod
    def config_fields(config):
        """The fields that the result depends on: dict of sections."""

    @property
    @abc.abstractmethod
    def view_spec(self):
        """`augmentation.ViewSpec` of the training images."""

    @abc.abstractmethod
    def card_sentence(self, report):
        """The sentence of the model card about the training."""

    @classmethod
    def depends_on(cls, config):
        """The part of the configuration that the result depends on.

        Args:
            config: the resolved configuration.

        Returns:
            Flat dict of JSON values, as `config.json` records it.
        """
        keys = ("name", "seed", "precision", "devices")
        fields = {key: config[key] for key in keys}
        flat = config_lib.flatten({**fields, **cls.config_fields(config)})
        # The images and labels that the file chooses identify it.
        del flat["data.labelled_ids"]
        for field in list(flat):
            optimizer, _, name = field.rpartition(".")
            is_muon = flat.get(f"{optimizer}.name") == "muon"
            if name == "kernel_learning_rate" and not is_muon:
                del flat[field]
        return flat

    @abc.abstractmethod
    def run(self, *, restart):
        """Trains and exports the stage's model, unless that is finished.

        Args:
            restart: bool; True removes an earlier run first.

        Returns:
            dict, as in `report.json`.
        """

    def directories(self):
        """The run directories that the stage writes: list of paths."""
        return [self.run_dir.path]

    def exports(self):
        """The names of the models that the stage exports: list of str."""
        return [self.model_name]

    @classmethod
    def check_config(cls, config, *, savedmodels, stages):
        """Raises a ValueError for mistakes that show without the data.

        Args:
            config: the configuration, which is valid by itself.
            savedmodels: path; see `prepare.Context`.
            stages: list of str, the names of all stages of the run.
        """
        del savedmodels, stages  # Used by stages that need a teacher.
        config_lib.check_warmup(config, cls.name, cls.section)
        fields = config[cls.role]
        build.check(fields.model, **build.network_options(fields))

    def check(self):
        """Raises a ValueError if the data do not fit the stage."""
        self._check_labels()
        pipeline.check_views(self.train, self.view_spec)
        self._check_size()

    def models_read(self):
        """The models that the stage reads: list of `(field, path)`."""
        return []

    def check_models_read(self):
        """Raises a ValueError if the stage would replace a model it reads.

        An interrupted training could not resume, and the model would be lost.
        """
        exports = [self.context.savedmodels / name for name in self.exports()]
        for field, path in self.models_read():
            place = pathlib.Path(path).resolve()
            for written in (*self.directories(), *exports):
                if place.is_relative_to(written.resolve()):
                    raise ValueError(
                        "a stage must not replace a model that it reads. "
                        f"Received: {field}={path}, where the {self.name} "
                        f"stage writes {written}; take another --config.name"
                    )

    def find_inputs(self):
        """Finds the result's dependencies besides the configuration.

        Returns:
            Flat dict of JSON values: the data, the versions of the
            augmentations, and the code of networks that are given as
            `module:function`.
        """
        names = self.depends_on(self.config).values()
        steps = self.view_spec.steps
        return {
            **fingerprints.run_record(self.parts),
            **({"augmentations": steps} if steps else {}),
            **{
                f"code.{name}": source_code.fingerprint(name.split(":")[0])
                for name in filter(source_code.is_name, names)
            },
        }

    def plan(self):
        """Finds the parts of the training of a run that is extended.

        Raises:
            ValueError: as `extension.ends`.
        """
        if self.context.extend:
            recorded = self.run_dir.recorded()
            self.ends = extension.ends(
                recorded,
                section=self.section,
                epochs=self.fields.epochs,
                path=self.run_dir.path,
            )
            before = recorded["depends_on"][f"{self.section}.epochs"]
            self._begins_part = self.ends[-1] != before

    def find_depends_on(self):
        """Finds everything the result depends on: flat dict of JSON values."""
        found = {**self.depends_on(self.config), **self.find_inputs()}
        num_workers = strategies.num_workers(self.context.strategy)
        if num_workers > 1:
            found["workers"] = num_workers
        return extension.planned(found, section=self.section, ends=self.ends)

    def agree(self, depends_on, report):
        """Checks that all workers are about to do the same.

        Args:
            depends_on: dict; see `RunDir.check`.
            report: dict, the report of a finished run, or None.

        Raises:
            ValueError: on all workers, if something differs.
        """
        finished = {f"{self.name} has finished": report is not None}
        hint = cluster.SHARED.format(path=self.run_dir.path)
        # Each worker may have the same images and labels elsewhere.
        facts = {k: v for k, v in depends_on.items() if k != "data.data_dir"}
        cluster.agree(self.context.strategy, facts)
        cluster.agree(self.context.strategy, finished, hint=hint)

    def start(self, depends_on, *, restart):
        """Creates the run directory, which all workers then see.

        Args:
            depends_on: dict; see `RunDir.check`.
            restart: bool; True removes an earlier run first.
        """
        if self.is_chief:
            if restart:
                self.run_dir.remove()
            self.run_dir.start(
                self.config,
                depends_on,
                command=self.context.command,
                environment=environments.current(self.context.strategy),
                class_names=self.class_names,
            )
        cluster.wait_for_file(self.context.strategy, self.run_dir.config_path)

    def report_by_chief(self, finish):
        """Lets the chief finish the stage; returns its report on all workers.

        Args:
            finish: function without arguments that writes the stage's files
                and returns its report, a dict.
        """
        strategy = self.context.strategy
        report = cluster.on_chief(strategy, finish)
        cluster.wait_for_file(strategy, self.run_dir.report_path)
        # The next stage may read it.
        cluster.wait_for_file(strategy, publishing.export_list_path(self))
        return report

    def finished_report(self, depends_on):
        """The report of a finished run of the same stage, or None."""
        if self._begins_part:
            depends_on = extension.planned(
                depends_on, section=self.section, ends=self.ends[:-1]
            )
        places = {
            "data": self.context.dataset.source,
            "teacher": teacher_files.place(
                self.config, self.context.savedmodels
            ),
        }
        self.run_dir.check(depends_on, places, self.class_names)
        report = self.run_dir.read_report()
        if report is None:
            return None
        if self._begins_part:
            self._check_extendable()
            return None
        if not self.run_dir.has_whole_model():
            self._check_rebuildable()
            return None
        self.run_dir.check_records()
        _log.info("%s: finished before, in %s", self.name, self.run_dir.path)
        if self.is_chief:
            publishing.repair_export(self, report, depends_on)
        outcome.log(self, report)
        return report

    def can_rebuild(self):
        """Whether a finished stage can make its network without training."""
        return any(self.run_dir.checkpoints_dir.glob("*.index"))

    def check_paths(self, restart, depends_on):
        """Raises a ValueError if somebody else's files are in the way.

        Args:
            restart: bool; True where the run is removed first.
            depends_on: dict; see `RunDir.check`.
        """
        if restart:
            self.run_dir.check_removable()
        publishing.check_export_path(self, depends_on)

    def build(self, num_classes):
        """The network before its training: a Keras model, images -> logits."""
        return build.build_model(
            self.network_fields.model,
            image_shape=self.train.image_shape,
            num_classes=num_classes,
            images=self.train.sample(build.STATISTICS_EXAMPLES),
            image_size=self.network_fields.image_size,
            **build.network_options(self.network_fields),
        )

    def _with_few_labels(self):
        """The parts, with only labelled or unlabelled examples to train on."""
        train = self.parts["train"]
        if not self.uses_labels:
            return {**self.parts, "train": few_labels.unlabelled(train)}
        chosen = few_labels.labelled(
            train, self.few_labels, seed=self.config.seed
        )
        return {**self.parts, "train": chosen}

    def write_export(self, network, directory):
        """Writes the files of the exported model into a new directory.

        Args:
            network: Keras model, in float32.
            directory: path.

        Returns:
            List of str, the names of the model's outputs.
        """
        return saved_model.write_saved_model(
            network,
            directory,
            dtype=self.train.image_spec.dtype,
            activation=self.activation,
            has_logits=self.has_logits,
            with_features=self.exports_features,
        )

    def _check_labels(self):
        if self.uses_labels and not self.train.labelled:
            raise ValueError(
                f"{self._label_user()} needs labels: images in one subfolder "
                "per class. Received: a flat folder"
            )

    def _check_extendable(self):
        if not self.can_rebuild():
            raise ValueError(
                "--extend goes on from a checkpoint, which holds the state of "
                f"the optimizer. Received: {self.run_dir.checkpoints_dir} "
                f"without any; train for all {self.fields.epochs} epochs with "
                "--restart"
            )

    def _check_rebuildable(self):
        path = self.run_dir.model_path
        if not self.can_rebuild():
            raise ValueError(
                "a finished stage must have its network as it was written. "
                f"Received: {path}, missing or damaged, without checkpoints; "
                "put it back, or train again with --restart"
            )
        _log.warning(
            "%s: %s is missing or damaged; it is made again", self.name, path
        )

    def _label_user(self):
        return f"the {self.name} stage"

    def _check_size(self):
        batch_size, count = self.fields.batch_size, len(self.train)
        if batch_size > count:
            raise ValueError(
                f"{self.section}.batch_size must be at most the number of "
                f"training examples. Received: {batch_size} of {count}"
            )


def without(section, *fields):
    """A section of the configuration without some of its fields: a dict."""
    return {key: value for key, value in section.items() if key not in fields}

"""Runs the experiments with the stages of the trainer and keeps the results."""

import functools
import json
import logging
import re

import keras

from experiments import lab
from experiments.few_labels import (
    backbone,
    catalogue,
    measures,
    relabelling,
)
from experiments.paper import plan
from kd_keras.config import recipes
from kd_keras.data import augmentation, sources
from kd_keras.teachers import loading
from kd_keras.training import run_directory, runs, stages
from kd_keras.utils import command_line, digests

_log = logging.getLogger(__name__)

# See `plan.fields_of`.
_NEWER = re.compile(
    r"data\.labelled_passes|student\.(from_teacher|quantize)"
    r"|teacher\.(mirrored|precision)|baseline\.(labels_per_class|labelled_passes)"
)


class Lab(lab.Lab):
    """The experiments with few labels; see `lab.Lab` for the arguments.

    The store of the embeddings, and the network that computes them, are in
    its `workdir`, too.
    """

    def measure(self, experiment, seed):
        """As of `lab.Lab`."""
        return measures.measure(self, experiment, seed)

    def config(self, experiment, seed):
        """The resolved configuration of an experiment's run."""
        config = recipes.load(experiment.config)
        config.update_from_flattened_dict(self._changes)
        config.seed = seed
        return config.copy_and_resolve_references()

    def run_dir(self, experiment, seed):
        """The run directory of an experiment: `run_directory.RunDir`."""
        folder = self.folder(experiment, seed)
        return run_directory.RunDir(folder / experiment.stage, experiment.stage)

    def trained(self, experiment, seed):
        """Trains an experiment, unless its run is finished.

        Returns:
            The finished `run_directory.RunDir`.
        """
        config = self.config(experiment, seed)
        for role in ("teacher", "backbone"):
            self._set_source(config, experiment, seed, role)
        if experiment.stored:
            config.store.path = str(self.store_path)
        _log.info("experiment: %s, seed %d", experiment.name, seed)
        runs.run(
            config,
            stages=[experiment.stage],
            workdir=self.folder(experiment, seed),
            savedmodels=self.folder(experiment, seed),
            dataset=self._dataset_of(experiment, seed),
            command=command_line.command("experiments.few_labels"),
        )
        run_dir = self.run_dir(experiment, seed)
        # A finished run needs none, and they are several times its size.
        run_dir.remove_checkpoints()
        keras.backend.clear_session()
        return run_dir

    def _dataset_of(self, experiment, seed):
        """The images and labels of an experiment, or None: the recipe's."""
        source = experiment.source("labels")
        if source is None:
            return self._dataset
        self.trained(source, seed)
        config = self.config(source, seed)
        return relabelling.relabelled(
            self.dataset,
            loading.load_teacher(self.exported(source, seed)),
            spec=augmentation.ViewSpec(**config.data.augment),
            views=config.store.views,
        )

    def _set_source(self, config, experiment, seed, role):
        """Sets the path of a teacher or of the network below a head."""
        field = {"teacher": "path", "backbone": "backbone"}[role]
        source = experiment.source(role)
        if source is not None:
            self.trained(source, seed)
            config.teacher[field] = str(self.exported(source, seed))
        elif config.teacher[field]:
            config.teacher[field] = str(self.backbone_path)

    def exported(self, experiment, seed):
        """The export of a finished run: its path."""
        name = f"{self.config(experiment, seed).name}_{experiment.stage}"
        return self.folder(experiment, seed) / name

    @functools.cached_property
    def backbone_path(self):
        """The network that embeds the images, which is written if missing."""
        return backbone.export(self.workdir)

    @functools.cached_property
    def store_path(self):
        """The store of the embeddings, which is written if missing."""
        config = self.config(catalogue.EXPERIMENTS["features"], seed=0)
        config.teacher.path = str(self.backbone_path)
        path, _ = runs.label(
            config,
            workdir=self.workdir,
            savedmodels=self.workdir,
            dataset=self._dataset,
        )
        return path

    @functools.cached_property
    def dataset(self):
        """All images with their true labels: `datasets.Dataset`."""
        config = self.config(catalogue.EXPERIMENTS["features"], seed=0)
        return self._dataset or sources.load_dataset(config.data)

    def config_hash(self, experiment, seed):
        """Digest of all fields that a result depends on: 12 hex digits.

        The fields of the runs that it learns from are among them.
        """
        stage = stages.stage_class(experiment.stage)
        config = self.config(experiment, seed)
        fields = plan.fields_of(stage, config, newer=_NEWER)
        for role in ("teacher", "backbone", "labels"):
            if source := experiment.source(role):
                fields[role] = self.config_hash(source, seed)
        text = json.dumps(fields, sort_keys=True)
        return digests.sha256_of_text(text)[:12]

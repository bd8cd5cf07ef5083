"""Trains students and baselines for several numbers of epochs."""

import dataclasses
import functools
import json
import logging

import keras

from experiments import lab
from experiments.paper.measures import runs as measures
from kd_keras.config import recipes
from kd_keras.training import run_directory, runs
from kd_keras.training import stages as stages_lib
from kd_keras.utils import command_line, digests, suggestions

_log = logging.getLogger(__name__)

RECIPE = "cifar10_long"
STAGES = ("student", "baseline")
# Their multiply-accumulates, in millions, are the relative costs of an epoch.
NETWORKS = {
    "airbench": 19.9,
    "resnet8": 12.5,
    "resnet12": 19.5,
    "resnet20": 40.8,
}
# Epochs of warm-up, and their largest share of a training.
_WARMUP, _WARMUP_SHARE = 5.0, 0.2


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A network, trained for a number of epochs.

    Attributes:
        network: str, a key of `NETWORKS`.
        stage: `student`, which learns from predictions, or `baseline`, which
            learns from labels.
        epochs: int.
    """

    network: str
    stage: str
    epochs: int

    @property
    def name(self):
        return f"{self.network}_{self.stage}_{self.epochs}"

    @property
    def cost(self):
        return NETWORKS[self.network] * self.epochs


def choose(networks, stages, epochs):
    """All experiments of some networks, stages and numbers of epochs.

    Args:
        networks, stages: lists of str.
        epochs: list of str, whole numbers from 1, or `none` alone.

    Returns:
        list of `Experiment`, of each network the shortest trainings first.

    Raises:
        ValueError: if a network, a stage or a number is not known.
    """
    for network in networks:
        suggestions.check_choice(network, NETWORKS, what="--networks")
    for stage in stages:
        suggestions.check_choice(stage, STAGES, what="--stages")
    if epochs == ["none"]:
        return []
    for text in epochs:
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(
                f"--epochs must be whole numbers from 1. Received: {text!r}"
            )
    return [
        Experiment(network, stage, count)
        for network in networks
        for count in sorted(set(map(int, epochs)))
        for stage in stages
    ]


class Lab(lab.Lab):
    """Trainings of `Experiment`s; see `lab.Lab` for the arguments.

    The store of the teacher's predictions is in its `workdir`, too.
    """

    def measure(self, experiment, seed):
        """As of `lab.Lab`."""
        return measures.measure(self, experiment, seed)

    def config(self, experiment, seed):
        """The resolved configuration of an experiment's run."""
        suffix = "" if experiment.network == "airbench" else experiment.network
        config = recipes.load(":".join(filter(None, (RECIPE, suffix))))
        config.student.epochs = experiment.epochs
        for optimizer in (config.student.optimizer, config.baseline.optimizer):
            optimizer.warmup_epochs = min(
                _WARMUP, _WARMUP_SHARE * experiment.epochs
            )
        config.seed = seed
        config.update_from_flattened_dict(self._changes)
        return config.copy_and_resolve_references()

    def trained(self, experiment, seed):
        """Trains an experiment, unless its run is finished.

        Returns:
            The finished `run_directory.RunDir`.
        """
        config = self.config(experiment, seed)
        if experiment.stage == "student":
            config.store.path = str(self.store_path)
        _log.info("experiment: %s, seed %d", experiment.name, seed)
        folder = self.folder(experiment, seed)
        runs.run(
            config,
            stages=[experiment.stage],
            workdir=folder,
            savedmodels=folder,
            dataset=self._dataset,
            command=command_line.command("experiments.epochs"),
        )
        run_dir = run_directory.RunDir(
            folder / experiment.stage, experiment.stage
        )
        # A finished run needs none, and they are several times its size.
        run_dir.remove_checkpoints()
        keras.backend.clear_session()
        return run_dir

    @functools.cached_property
    def store_path(self):
        """The store of the teacher's predictions, written if missing."""
        experiment = Experiment("resnet8", "student", 10)
        path, _ = runs.label(
            self.config(experiment, seed=0),
            workdir=self.workdir,
            savedmodels=self.workdir,
            dataset=self._dataset,
        )
        return path

    def config_hash(self, experiment, seed):
        """As of `lab.Lab`."""
        stage = stages_lib.stage_class(experiment.stage)
        fields = stage.depends_on(self.config(experiment, seed))
        text = json.dumps(fields, sort_keys=True)
        return digests.sha256_of_text(text)[:12]

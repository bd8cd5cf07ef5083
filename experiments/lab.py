"""Runs a series of experiments and keeps their results."""

import abc
import pathlib

from experiments import progress as progress_lib
from experiments.paper import results


class Lab(abc.ABC):
    """Runs experiments, which have a `name` and a `cost`, once for each seed.

    Args:
        workdir: path of the runs, `<workdir>/<experiment>/seed<n>/`, and of
            what they share.
        results_path: path of a file with a JSON object a line, a result each.
        changes: dict of fields that replace the recipe's.
        dataset: `datasets.Dataset`, or None for the recipe's own.
    """

    def __init__(self, *, workdir, results_path, changes=None, dataset=None):
        self.workdir = pathlib.Path(workdir)
        self._results = results.Results(results_path)
        self._changes = changes or {}
        self._dataset = dataset

    @abc.abstractmethod
    def measure(self, experiment, seed):
        """Trains an experiment, and measures it: dict of JSON values."""

    @abc.abstractmethod
    def config_hash(self, experiment, seed):
        """Digest of all fields that a result depends on: 12 hex digits."""

    @property
    def lines(self):
        """All results: list of dicts, in the file's order."""
        return self._results.lines

    def run(self, experiments, seeds):
        """Measures all missing results, and logs the time that is left.

        Args:
            experiments: list.
            seeds: list of ints.
        """
        runs_to_do = [
            (experiment, seed)
            for seed in seeds
            for experiment in experiments
            if self._results.find(self._key(experiment, seed)) is None
        ]
        progress = progress_lib.Progress([x.cost for x, _ in runs_to_do])
        for experiment, seed in runs_to_do:
            line = self.result(experiment, seed)
            progress.add(experiment.cost, line)

    def result(self, experiment, seed):
        """Returns the result of an experiment and seed, measured if missing.

        A result of another configuration is measured again and replaced.
        """
        key = self._key(experiment, seed)
        line = self._results.find(key)
        if line is None:
            line = {**key, **self.measure(experiment, seed)}
            self._results.keep(line)
        return line

    def folder(self, experiment, seed):
        """The directory of an experiment's run: its path."""
        return self.workdir / experiment.name / f"seed{seed}"

    def _key(self, experiment, seed):
        return {
            "experiment": experiment.name,
            "seed": seed,
            "config_hash": self.config_hash(experiment, seed),
        }

"""Runs the experiments with the stages of the trainer and keeps the results."""

import logging
import pathlib

import keras

from experiments.paper import catalogue, plan, results
from kd_keras import store
from kd_keras.data import sources, splits
from kd_keras.training import prepare, run_directory, runs
from kd_keras.utils import command_line, files

_log = logging.getLogger(__name__)
_REPOSITORY = pathlib.Path(__file__).parents[2]


class Lab:
    """Runs experiments and keeps their results.

    Args:
        workdir: path of the runs: `<workdir>/<experiment>/seed<n>/`.
        results_path: path of a file with a JSON object a line, a result each.
        quick: bool; True takes one seed and the changes of `plan.QUICK`.
        dataset: `datasets.Dataset`, or None for the configurations' own.
    """

    experiments = catalogue.EXPERIMENTS

    def __init__(self, *, workdir, results_path, quick=False, dataset=None):
        self.workdir = pathlib.Path(workdir)
        self.plan = plan.Plan(quick=quick)
        self._results = results.Results(results_path)
        self._dataset = dataset

    @property
    def lines(self):
        """All results: list of dicts, in the file's order."""
        return self._results.lines

    def result(self, experiment, seed):
        """Returns the result of an experiment and seed, measured if missing.

        A result of another configuration is measured again and replaced.
        """
        key = {
            "experiment": experiment.name,
            "seed": seed,
            "config_hash": self.plan.config_hash(experiment, seed),
        }
        line = self._results.find(key)
        if line is None:
            _log.info("experiment: %s, seed %d", experiment.name, seed)
            line = {**key, **experiment.measure(self, experiment, seed)}
            self._results.keep(line)
        return line

    def forget(self, experiments):
        """Removes the runs and results of experiments, of all their seeds.

        Only files that this program wrote are removed. Experiments that learn
        from the removed runs are not removed with them.

        Raises:
            ValueError: if a run directory holds other files; then nothing is
                removed.
        """
        run_dirs = [
            self.run_dir(experiment, seed)
            for experiment in experiments
            for seed in range(experiment.num_seeds)
        ]
        for run_dir in run_dirs:
            run_dir.check_removable()
        self._results.forget({experiment.name for experiment in experiments})
        for run_dir in run_dirs:
            for exported in run_dir.path.parent.glob("*/saved_model.pb"):
                files.remove_directory(exported.parent)
            run_dir.remove()
            store.remove(run_dir.path.parent / "store")
        for experiment in experiments:
            store.remove(self.workdir / experiment.name / "store")

    def parts(self, experiment, seed, *, whole=False):
        """The data that a run is trained and measured on, as `splits.split`.

        Args:
            experiment: `catalogue.Experiment`.
            seed: int.
            whole: bool; True keeps in `train` what the transfer set omits.
        """
        config = self.plan.config(experiment, seed)
        dataset = self._dataset or sources.load_dataset(config.data)
        parts = splits.split(
            dataset,
            validation_examples=config.data.validation_examples,
            max_train_examples=config.data.max_train_examples,
        )
        if whole or experiment.stage == "teacher":
            return parts
        return prepare.transfer_parts(parts, config)

    def run_dir(self, experiment, seed):
        """The run directory of an experiment: `run_directory.RunDir`."""
        path = self.workdir / experiment.name / f"seed{seed}"
        return run_directory.RunDir(path / experiment.stage, experiment.stage)

    def trained(self, experiment, seed, **overrides):
        """Trains an experiment, unless its run is finished.

        Args:
            experiment: `catalogue.Experiment`.
            seed: int.
            **overrides: fields that replace the configuration's.

        Returns:
            The finished `run_directory.RunDir`.
        """
        config = self.plan.config(experiment, seed)
        config.update_from_flattened_dict(overrides)
        run_dir = self.run_dir(experiment, seed)
        options = {"savedmodels": run_dir.path.parent, "dataset": self._dataset}
        if experiment.teacher:
            config.teacher.path = self.teacher_path(experiment)
        if experiment.stage == "student" and self.plan.shares_store(experiment):
            # The teacher labels once, for the students of all seeds.
            folder = run_dir.path.parent.parent
            store_path, _ = runs.label(config, workdir=folder, **options)
            config.store.path = str(store_path)
        runs.run(
            config,
            stages=[experiment.stage],
            workdir=run_dir.path.parent,
            command=command_line.command("experiments.paper"),
            **options,
        )
        # A finished run needs none, and they are several times its size.
        run_dir.remove_checkpoints()
        keras.backend.clear_session()
        return run_dir

    def network(self, experiment, seed):
        """The Keras model that an experiment's run has trained."""
        run_dir = self.trained(experiment, seed)
        return keras.models.load_model(run_dir.model_path, compile=False)

    def teacher_path(self, experiment):
        """Paths of an experiment's teachers, separated by commas."""
        if experiment.teacher not in self.experiments:
            return str(_REPOSITORY / experiment.teacher)
        teacher = self.experiments[experiment.teacher]
        paths = [
            self.trained(teacher, teacher_seed).model_path
            for teacher_seed in self.plan.teacher_seeds(experiment)
        ]
        return ",".join(map(str, paths))

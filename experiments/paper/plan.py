"""Seeds and configurations of the experiments' runs."""

import json
import re

from experiments.paper import catalogue
from kd_keras import config as config_lib
from kd_keras.config import recipes
from kd_keras.training import stages
from kd_keras.utils import digests

# Fields that --quick changes, by recipe.
QUICK = {
    "paper_mnist": {
        "data.max_train_examples": 12_000,
        "teacher.epochs": 6,
        "student.epochs": 6,
    },
    "paper_cifar10": {
        "data.max_train_examples": 4000,
        "teacher.epochs": 2,
        "teacher.optimizer.warmup_epochs": 0.5,
        "student.epochs": 2,
        "student.optimizer.warmup_epochs": 0.5,
        "store.views": 2,
    },
    "paper_twenty": {
        "data.max_train_examples": 12_000,
        "teacher.epochs": 2,
        "specialist.num_specialists": 2,
        "specialist.epochs": 1,
        "student.epochs": 2,
        "store.views": 2,
    },
}
# Experiments and groups that --quick leaves out, to stay below ten minutes:
# the second mean, a row that is not the paper's, and the specialists of the
# larger generalist.
_NOT_QUICK = {
    "ensemble_geometric_itself",
    "ensemble_geometric",
    "cifar10_3_percent_soft_mixed",
    "specialists",
}


# Fields that are newer than the first recorded results. With their defaults,
# they are left out of the digests of configurations.
_NEWER = re.compile(
    r"data\.(antialias|background|channels|decoding|image_column|image_width"
    r"|label_column|labelled_ids|labelled_passes|labels|labels_per_class"
    r"|on_error|resize|split_column)"
    r"|(data|teacher)\.augment\.(blur|blur_sigma|brightness|contrast|crop_ratio"
    r"|crop_scale|erasing|grey|hue|magnitude|order|rand_augment|saturation"
    r"|trivial_augment)"
    r"|(student|teacher)\.image_size|student\.(from_teacher|quantize|weights)"
    r"|teacher\.(backbone|backbone_layer|classes|image_sizes|mirrored|precision"
    r"|preprocess|resize|signature)"
    r"|distill\.features\..*|cluster\..*"
    r"|baseline\.(labels_per_class|labelled_passes)"
)


def fields_of(stage, config, *, newer):
    """The fields that a stage's result depends on, but for newer ones.

    Args:
        stage: class of a stage.
        config: resolved configuration.
        newer: compiled pattern of the fields that are newer than the recorded
            results: with their defaults they are left out.

    Returns:
        Dict of names to JSON values.
    """
    defaults = config_lib.flatten(config_lib.default_config())
    return {
        name: value
        for name, value in stage.depends_on(config).items()
        if not (newer.fullmatch(name) and value == defaults[name])
    }


class Plan:
    """Seeds and configurations of the experiments' runs.

    Args:
        quick: bool; True takes one seed and the changes of `QUICK`.
    """

    def __init__(self, *, quick=False):
        self._quick = quick

    def seeds(self, experiment):
        """The seeds of an experiment: a range, empty if it is left out."""
        if self._quick:
            left_out = {experiment.name, experiment.group} & _NOT_QUICK
            return range(0 if left_out else 1)
        return range(experiment.num_seeds)

    def teacher_seeds(self, experiment):
        """The seeds of the runs that an experiment's students learn from."""
        seeds = self.seeds(catalogue.EXPERIMENTS[experiment.teacher])
        if experiment.ensemble:
            return seeds if len(seeds) > 1 else range(2)
        # One teacher for all, so that the spread is the students' alone.
        return [0]

    def config(self, experiment, seed):
        """The resolved configuration of an experiment's run."""
        config = recipes.load(experiment.config)
        config.seed = seed
        if self._quick:
            recipe = experiment.config.partition(":")[0]
            config.update_from_flattened_dict(QUICK[recipe])
        return config.copy_and_resolve_references()

    def config_hash(self, experiment, seed):
        """Digest of all fields that a result depends on: 12 hex digits.

        The fields of the teachers' runs are among them.
        """
        run = catalogue.EXPERIMENTS[experiment.of or experiment.name]
        stage = stages.stage_class(run.stage)
        fields = fields_of(stage, self.config(run, seed), newer=_NEWER)
        if run.teacher in catalogue.EXPERIMENTS:
            fields["teachers"] = [
                self.config_hash(
                    catalogue.EXPERIMENTS[run.teacher], teacher_seed
                )
                for teacher_seed in self.teacher_seeds(run)
            ]
        text = json.dumps(fields, sort_keys=True)
        return digests.sha256_of_text(text)[:12]

    def shares_store(self, experiment):
        """Whether the students of all seeds see the same views."""
        configs = [self.config(experiment, seed) for seed in (0, 1)]
        view_seeds = {config.data.augment.seed for config in configs}
        return (
            configs[0].store.path == "auto"
            and configs[0].transfer.fraction == 1
            and len(view_seeds) == 1
        )

"""The paper's experiments, in the order in which they are run.

Each is a recipe, a stage of the trainer, a number of
seeds, and a measure.
"""

import dataclasses
import functools

from experiments.paper.measures import (
    class_bias,
    ensembles,
    logit_matching,
    runs,
    subsets,
)
from kd_keras.config import recipes
from kd_keras.utils import suggestions

_MNIST_RECIPES = recipes.module("paper_mnist").EXPERIMENTS
_CIFAR10_TEACHER = "savedmodels/cifar10_teacher"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A measure of a run of the trainer.

    Attributes:
        name: str.
        group: str, the section of the document that it belongs to.
        title: str, its row there.
        measure: function of `(lab, experiment, seed)` -> dict of results.
        config: str, `<recipe>` or `<recipe>:<argument>`, for `recipes.load`.
        stage: str, the stage of the trainer that is run.
        num_seeds: int; the seeds are 0 to `num_seeds - 1`.
        paper: str, the paper's figure.
        teacher: str, the experiment whose run of seed 0 is the teacher of
            students or the generalist of specialists; or a path in the
            repository.
        ensemble: bool; True takes the runs of all seeds as one teacher.
        of: str, the experiment whose run is measured, if it has none itself.
    """

    name: str
    group: str
    title: str
    measure: object = runs.measure
    config: str = ""
    stage: str = "student"
    num_seeds: int = 3
    paper: str = "-"
    teacher: str = ""
    ensemble: bool = False
    of: str = ""


def choose(names):
    """The experiments of these names or groups, in the catalogue's order.

    Args:
        names: list of str; `all` and `none` are allowed, too.

    Raises:
        ValueError: if no experiment or group has a name, or `none` has company.
    """
    groups = dict.fromkeys(x.group for x in EXPERIMENTS.values())
    choices = ["all", "none", *groups, *EXPERIMENTS]
    for name in names:
        if name not in choices:
            raise ValueError(
                f"--experiments must be of the groups {', '.join(groups)}, "
                "names as in paper.md, all or none. Received: "
                f"{name!r}.{suggestions.did_you_mean(name, choices)}"
            )
    if "none" in names and len(names) > 1:
        raise ValueError(
            "--experiments=none must have no other names beside it. Received: "
            f"{', '.join(names)}"
        )
    return [
        experiment
        for experiment in EXPERIMENTS.values()
        if {"all", experiment.name, experiment.group} & set(names)
    ]


def _mnist(name, title, **options):
    """An experiment of `configs/paper_mnist.py`, a student by default."""
    if not {"stage", "of"} & options.keys():
        options["teacher"] = "teacher"
    if "of" not in options:
        options.setdefault("config", f"paper_mnist:{name}")
    options.setdefault("group", "mnist")
    return Experiment(name=name, title=title, **options)


_MNIST = [
    _mnist(
        "teacher",
        "teacher, 2 x 1200, dropout, max-norm, jitter of 2 pixels",
        stage="teacher",
        paper="67",
    ),
    _mnist(
        "labels",
        "student, 2 x 800, labels, no regularisation",
        stage="baseline",
        num_seeds=5,
        paper="146",
    ),
    _mnist(
        "soft_hard",
        "same student, soft targets at T = 20 and labels",
        num_seeds=5,
        paper="74",
    ),
    _mnist("soft", "same student, soft targets at T = 20 alone", num_seeds=5),
    _mnist("soft_jitter", "... with jitter of 2 pixels, not the paper's"),
]


def _omitted_classes(name, title, classes, *, paper, paper_shifted):
    """A student whose transfer set lacks classes, and three corrections."""
    biases = "biases" if len(classes) > 1 else "bias"
    numbers = " and ".join(map(str, classes))

    def shifted(suffix, title, paper="-", **options):
        return _mnist(
            f"{name}_{suffix}",
            title,
            measure=functools.partial(class_bias.measure, **options),
            of=name,
            paper=paper,
        )

    return [
        _mnist(name, title, measure=runs.measure_classes, paper=paper),
        shifted(
            "bias",
            f"... {biases} of {numbers} fitted without labels",
            classes=classes,
        ),
        shifted(
            "all_biases",
            "... all biases fitted without labels",
            classes=tuple(range(10)),
        ),
        shifted(
            "bias_on_test",
            f"... {biases} of {numbers} chosen on the test set, as in the "
            "paper",
            paper_shifted,
            classes=classes,
            on_test=True,
        ),
    ]


_OMITTED_CLASSES = [
    *_omitted_classes(
        "no_threes",
        "no 3 in the transfer set",
        (3,),
        paper="206, 133 of them threes",
        paper_shifted="109, 14 of them threes",
    ),
    *_omitted_classes(
        "sevens_eights",
        "only 7 and 8 in the transfer set",
        (7, 8),
        paper="4730 (47.3 %)",
        paper_shifted="1320 (13.2 %)",
    ),
]


def _three_percent(data, **teacher):
    """Students of 3 % of the data: on labels, stopped early, distilled."""

    def row(name, title, measure, config=None, **options):
        return Experiment(
            f"{data}_3_percent_{name}",
            "three_percent",
            f"{data}, {title}",
            measure,
            config=f"paper_{data}:three_percent_{config or name}",
            **options,
        )

    return [
        row(
            "labels",
            "labels, to the end",
            subsets.measure,
            stage="baseline",
            paper="67.3 % train, 44.5 % test",
        ),
        row(
            "early",
            "labels, stopped early",
            functools.partial(
                subsets.measure_early_stopping,
                longer=f"{data}_3_percent_labels",
            ),
            config="labels",
            stage="baseline",
            paper="",
        ),
        row(
            "soft",
            "soft targets, to the end",
            subsets.measure,
            paper="65.4 % train, 57.0 % test",
            **teacher,
        ),
    ]


_GRID = [
    _mnist(name, name, group="grid")
    for name in _MNIST_RECIPES
    if name.startswith("grid_")
]
_LOGIT_MATCHING = [
    _mnist("matching", "logit matching", group="matching", num_seeds=1),
    *(
        _mnist(
            name,
            f"soft targets at T = {name.removeprefix('matching_T')}",
            measure=logit_matching.measure,
            group="matching",
            num_seeds=1,
        )
        for name in _MNIST_RECIPES
        if name.startswith("matching_T")
    ),
]


def _distilled_ensemble(mean):
    """The mean of the members, and one network that is distilled from it."""
    name = f"ensemble_{mean}"
    return [
        Experiment(
            f"{name}_itself",
            "ensemble",
            f"the ensemble of 5, {mean} mean",
            ensembles.measure,
            num_seeds=1,
            of=name,
            paper="61.1 % (10 networks)",
        ),
        Experiment(
            name,
            "ensemble",
            "one network, distilled from it without labels",
            config=f"paper_cifar10:{name}",
            teacher="member",
            ensemble=True,
            paper="60.8 %",
        ),
    ]


_ENSEMBLE = [
    Experiment(
        "member",
        "ensemble",
        "one network on labels",
        config="paper_cifar10:member",
        stage="teacher",
        num_seeds=5,
        paper="58.9 % of frames right",
    ),
    *_distilled_ensemble("arithmetic"),
    *_distilled_ensemble("geometric"),
]
_CIFAR10_SUBSETS = [
    *_three_percent("cifar10", teacher=_CIFAR10_TEACHER),
    Experiment(
        "cifar10_3_percent_soft_mixed",
        "three_percent",
        "cifar10, ... of mixed images too, 400 epochs",
        subsets.measure,
        config="paper_cifar10:three_percent_soft_mixed",
        teacher=_CIFAR10_TEACHER,
    ),
]


def _specialists(group, prefix, *, generalist, config, paper="-"):
    """Specialists of a generalist, and students with and without them."""
    together = f"{prefix}_specialists"
    return [
        Experiment(
            together,
            group,
            "generalist and specialists together",
            ensembles.measure_specialists,
            config=config,
            stage="specialist",
            num_seeds=1,
            teacher=generalist,
            paper=paper,
        ),
        Experiment(
            f"{prefix}_student_of_generalist",
            group,
            "one student, distilled from the generalist alone",
            config=config,
            teacher=generalist,
        ),
        Experiment(
            f"{prefix}_student_of_specialists",
            group,
            "one student, distilled from all together",
            config=config,
            teacher=together,
        ),
    ]


_SPECIALISTS = [
    *_specialists(
        "specialists",
        "cifar10",
        generalist=_CIFAR10_TEACHER,
        config="cifar10_specialists",
        paper="25.0 % to 26.1 % right",
    ),
    Experiment(
        "twenty_generalist",
        "twenty",
        "the generalist, on labels",
        config="paper_twenty",
        stage="teacher",
        num_seeds=1,
    ),
    *_specialists(
        "twenty",
        "twenty",
        generalist="twenty_generalist",
        config="paper_twenty",
    ),
]

# The most important first: an interrupted `make paper` has run these.
EXPERIMENTS = {
    experiment.name: experiment
    for experiment in [
        *_MNIST,
        *_OMITTED_CLASSES,
        *_three_percent("mnist", teacher="teacher"),
        *_GRID,
        *_LOGIT_MATCHING,
        *_ENSEMBLE,
        *_CIFAR10_SUBSETS,
        *_SPECIALISTS,
    ]
}

"""The experiments of few labels, in the order in which they are run."""

import dataclasses

from kd_keras.config import recipes
from kd_keras.utils import suggestions

RECIPE = "cifar10_few_labels"
_LABELS = recipes.module(RECIPE).LABELS


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of training: its stage, and the runs that it learns from.

    Attributes:
        title: str, the row of the table.
        stage: str, the stage of the trainer.
        teacher: str, the kind of experiment whose export is the teacher, or
            empty: none, or EfficientNet-Lite0.
        backbone: the same for the network below a probe's head.
        labels: the same for the network whose predictions are the labels of
            all training images, or empty: the true labels of some.
        stored: bool, whether it reads the stored embeddings.
        cost: float, its time, relative to the training of a student.
    """

    title: str
    stage: str
    teacher: str = ""
    backbone: str = ""
    labels: str = ""
    stored: bool = False
    cost: float = 1.0


KINDS = {
    "baseline": Kind(
        "baseline: the student's network, on these labels", "baseline"
    ),
    "probe": Kind(
        "probe teacher: linear head on the embeddings",
        "teacher",
        stored=True,
        cost=0.3,
    ),
    "soft": Kind(
        "student, from the probe's predictions",
        "student",
        teacher="probe",
        stored=True,
    ),
    "both": Kind(
        "student, from predictions and embeddings",
        "student",
        teacher="probe",
        stored=True,
    ),
    "probe2": Kind(
        "second probe: a head on the labels that the student predicts",
        "teacher",
        labels="soft",
        stored=True,
    ),
    "soft2": Kind(
        "second student, from the second probe's predictions",
        "student",
        teacher="probe2",
        stored=True,
    ),
    "features": Kind("student, from the embeddings", "student", stored=True),
    "head": Kind(
        "student, from the embeddings; then a linear head on these labels",
        "teacher",
        backbone="features",
        cost=0.3,
    ),
}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A kind of training with some labels.

    Attributes:
        kind: str, a key of `KINDS`.
        labels: str, a key of the recipe's `LABELS`; empty without labels.
    """

    kind: str
    labels: str = ""

    @property
    def name(self):
        return "_".join(filter(None, (self.kind, self.labels)))

    @property
    def config(self):
        """The recipe, for `recipes.load`."""
        return f"{RECIPE}:{self.name}"

    @property
    def stage(self):
        return KINDS[self.kind].stage

    @property
    def cost(self):
        return KINDS[self.kind].cost

    @property
    def stored(self):
        return KINDS[self.kind].stored

    def source(self, role):
        """The experiment whose export is the teacher, and so on.

        Args:
            role: `teacher`, `backbone` or `labels`; see `Kind`.

        Returns:
            `Experiment`, or None.
        """
        kind = getattr(KINDS[self.kind], role)
        if not kind:
            return None
        return EXPERIMENTS.get(kind) or EXPERIMENTS[f"{kind}_{self.labels}"]

    @property
    def baseline(self):
        """The experiment that it is compared with, or None."""
        if not self.labels or self.kind == "baseline":
            return None
        return EXPERIMENTS[f"baseline_{self.labels}"]


# The experiments of the document's first claim come first.
_ORDER = [
    *(("50", kind) for kind in ("baseline", "probe", "soft")),
    *(("50", kind) for kind in ("probe2", "soft2", "both")),
    ("", "features"),
    ("50", "head"),
    *(
        (labels, kind)
        for labels in ("500", "all")
        for kind in ("baseline", "probe", "soft", "head")
    ),
]
EXPERIMENTS = {
    x.name: x for x in (Experiment(kind, labels) for labels, kind in _ORDER)
}


def choose(names):
    """The experiments of these names, in the catalogue's order.

    Args:
        names: list of str; kinds, numbers of labels such as `labels_500`,
            `all` and `none` are allowed, too.

    Raises:
        ValueError: if a name is unknown.
    """
    for name in names:
        suggestions.check_choice(name, _CHOICES, what="an experiment")
    return [
        x
        for x in EXPERIMENTS.values()
        if {"all", x.name, x.kind, f"labels_{x.labels}"} & set(names)
    ]


_CHOICES = [
    "all",
    "none",
    *KINDS,
    *(f"labels_{labels}" for labels in _LABELS),
    *EXPERIMENTS,
]

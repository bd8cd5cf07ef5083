"""The paper's experiments: what is run, with which seeds, what is measured.

Used by `python -m experiments.paper`. The training is the ordinary stages',
with the configurations of `configs/paper_mnist.py` and `paper_cifar10.py`.
"""

import dataclasses
import difflib
import functools
import hashlib
import json
import logging
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras import store
from kd_keras.config import recipes
from kd_keras.data import sources, splits
from kd_keras.deployment import saved_model as exports
from kd_keras.distillation import class_bias, losses
from kd_keras.evaluation import metrics
from kd_keras.models import networks
from kd_keras.teachers import ensemble, loading
from kd_keras.training import run_directory, stages
from kd_keras.utils import command_line, files, provenance

_log = logging.getLogger(__name__)

_REPOSITORY = pathlib.Path(__file__).parents[2]
# What --quick changes, for each file of configurations.
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
# Experiments or groups that it leaves out, to stay below ten minutes: the
# second mean, a row that is not the paper's, and specialists of a large
# generalist beside those of a small.
_NOT_QUICK = {
    "ensemble_geometric_itself",
    "ensemble_geometric",
    "cifar10_3_percent_soft_mixed",
    "specialists",
}
# Training pictures on which two losses' gradients are compared.
_GRADIENT_EXAMPLES = 500


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is measured, and of which run of the trainer.

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
    measure: object
    config: str = ""
    stage: str = "student"
    num_seeds: int = 3
    paper: str = "-"
    teacher: str = ""
    ensemble: bool = False
    of: str = ""


def choose(names):
    """The experiments that are named, alone or by their group, in order.

    Args:
        names: list of str; `all` and `none` are names, too.

    Raises:
        ValueError: if there is none of a name.
    """
    groups = dict.fromkeys(x.group for x in EXPERIMENTS.values())
    choices = ["all", "none", *groups, *EXPERIMENTS]
    for name in names:
        if name not in choices:
            close = difflib.get_close_matches(name, choices, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"--experiments must be of the groups {', '.join(groups)}, "
                "names as in paper.md, all or none. Received: "
                f"{name!r}.{hint}"
            )
    return [
        experiment
        for experiment in EXPERIMENTS.values()
        if {"all", experiment.name, experiment.group} & set(names)
    ]


class Lab:
    """Runs experiments and keeps their results.

    Args:
        workdir: path, of the runs: `<workdir>/<experiment>/seed<n>/`.
        results: path of a file with a line, a JSON object, for each result.
        quick: bool; True takes one seed and what `QUICK` changes.
        dataset: `datasets.Dataset`, or None for the configurations' own.
    """

    def __init__(self, *, workdir, results, quick=False, dataset=None):
        self.workdir = pathlib.Path(workdir)
        self._results = pathlib.Path(results)
        self._quick = quick
        self._dataset = dataset

    @property
    def lines(self):
        """The results: list of dicts, as in the file."""
        if not self._results.exists():
            return []
        try:
            lines = self._results.read_text().splitlines()
            results = [json.loads(line) for line in lines]
            assert all("experiment" in result for result in results)
        except (OSError, ValueError, TypeError, AssertionError) as error:
            raise ValueError(
                "--results must be a file of this command, a JSON object with "
                f"an experiment in each line. Received: {self._results}"
            ) from error
        return results

    def seeds(self, experiment):
        if self._quick:
            left_out = {experiment.name, experiment.group} & _NOT_QUICK
            return range(0 if left_out else 1)
        return range(experiment.num_seeds)

    def result(self, experiment, seed):
        """The line of an experiment and a seed; measured, if there is none."""
        key = {
            "experiment": experiment.name,
            "seed": seed,
            "config_hash": self._hash(experiment, seed),
        }
        for line in self.lines:
            if key.items() <= line.items():
                return line
        _log.info("experiment: %s, seed %d", experiment.name, seed)
        line = {**key, **experiment.measure(self, experiment, seed)}
        self._keep(line)
        return line

    def forget(self, experiments):
        """Removes the runs and the lines of experiments, of all their seeds.

        Those that learn from them go on only once they are removed, too.
        """
        names = {experiment.name for experiment in experiments}
        for experiment in experiments:
            for seed in range(experiment.num_seeds):
                self.run_dir(experiment, seed).check_removable()
        self._write([x for x in self.lines if x["experiment"] not in names])
        for experiment in experiments:
            for seed in range(experiment.num_seeds):
                run_dir = self.run_dir(experiment, seed)
                for exported in run_dir.path.parent.glob("*/saved_model.pb"):
                    files.remove_directory(exported.parent)
                run_dir.remove()
                store.remove(run_dir.path.parent / "store")
            store.remove(self.workdir / experiment.name / "store")

    def _keep(self, line):
        # One of another configuration is not the experiment's any more.
        lines = [
            old
            for old in self.lines
            if any(old[key] != line[key] for key in ("experiment", "seed"))
        ]
        self._write([*lines, line])

    def _write(self, lines):
        self._results.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        files.write_text(self._results, text)

    def config(self, experiment, seed):
        """The resolved configuration of an experiment's run."""
        config = recipes.load(experiment.config)
        config.seed = seed
        if self._quick:
            recipe = experiment.config.partition(":")[0]
            config.update_from_flattened_dict(QUICK[recipe])
        return config.copy_and_resolve_references()

    def _hash(self, experiment, seed):
        """Of all that the result depends on."""
        run = EXPERIMENTS[experiment.of or experiment.name]
        fields = config_lib.stage_fields(self.config(run, seed), run.stage)
        if run.teacher in EXPERIMENTS:
            fields["teachers"] = [
                self._hash(EXPERIMENTS[run.teacher], teacher_seed)
                for teacher_seed in self._teacher_seeds(run)
            ]
        text = json.dumps(fields, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _teacher_seeds(self, experiment):
        seeds = self.seeds(EXPERIMENTS[experiment.teacher])
        if experiment.ensemble:
            return seeds if len(seeds) > 1 else range(2)
        # One teacher for all: their spread is that of the students alone.
        return [0]

    def parts(self, experiment, seed, *, whole=False):
        """What its run is trained and measured on: see `splits.split`.

        `whole` leaves in `train` what the transfer set leaves out.
        """
        config = self.config(experiment, seed)
        dataset = self._dataset or sources.load_dataset(config.data)
        parts = splits.split(
            dataset,
            validation_examples=config.data.validation_examples,
            max_train_examples=config.data.max_train_examples,
        )
        if whole or experiment.stage == "teacher":
            return parts
        return stages.transfer_parts(parts, config)

    def run_dir(self, experiment, seed):
        path = self.workdir / experiment.name / f"seed{seed}"
        return run_directory.RunDir(path / experiment.stage, experiment.stage)

    def trained(self, experiment, seed, **overrides):
        """The finished run of an experiment: its `run_directory.RunDir`.

        Args:
            experiment: `Experiment`.
            seed: int.
            **overrides: fields of the configuration that are other for it.
        """
        config = self.config(experiment, seed)
        config.update_from_flattened_dict(overrides)
        run_dir = self.run_dir(experiment, seed)
        options = {"savedmodels": run_dir.path.parent, "dataset": self._dataset}
        if experiment.teacher:
            config.teacher.path = self.teacher_path(experiment)
        if experiment.stage == "student" and self._shares_store(experiment):
            # The teacher speaks once, for the students of all seeds.
            folder = run_dir.path.parent.parent
            store, _ = stages.label(config, workdir=folder, **options)
            config.store.path = str(store)
        stages.run(
            config,
            stages=[experiment.stage],
            workdir=run_dir.path.parent,
            command=command_line.command("experiments.paper"),
            **options,
        )
        # Of no use to a finished run, and of several times its size.
        run_dir.remove_checkpoints()
        keras.backend.clear_session()
        return run_dir

    def _shares_store(self, experiment):
        """Whether the students of all seeds see the same views."""
        configs = [self.config(experiment, seed) for seed in (0, 1)]
        view_seeds = {config.data.augment.seed for config in configs}
        return (
            configs[0].store.path == "auto"
            and configs[0].transfer.fraction == 1
            and len(view_seeds) == 1
        )

    def network(self, experiment, seed):
        """The network that the run of an experiment has made."""
        run_dir = self.trained(experiment, seed)
        return keras.models.load_model(run_dir.model_path, compile=False)

    def teacher_path(self, experiment):
        """Where that is which an experiment's run learns from."""
        if experiment.teacher not in EXPERIMENTS:
            return str(_REPOSITORY / experiment.teacher)
        teacher = EXPERIMENTS[experiment.teacher]
        paths = [
            self.trained(teacher, teacher_seed).model_path
            for teacher_seed in self._teacher_seeds(experiment)
        ]
        return ",".join(map(str, paths))


def predict(network, examples):
    """As `stages.logits_of`, of a Keras model."""
    return stages.logits_of(
        functools.partial(network, training=False), examples
    )


# How the experiments are measured


def _measure_run(lab, experiment, seed, **overrides):
    """What the trainer reports of the run."""
    run_dir = lab.trained(experiment, seed, **overrides)
    report = run_dir.report()
    origin = run_dir.origin()
    return {
        **_origin(origin["versions"]),
        "precision": origin["precision"],
        "seconds": report["seconds"],
        "epochs": report["epochs"],
        "errors": report["test_errors"],
        "test_examples": report["test_examples"],
        **_agreement(report),
    }


def _agreement(report):
    # A network on labels has no teacher to agree with.
    agreement = report.get("agreement")
    return {} if agreement is None else {"agreement": agreement}


def _origin(versions):
    return {
        "commit": versions["commit"],
        "hardware": f"{versions['processor']}, {versions['threads']} threads",
    }


def _measure_classes(lab, experiment, seed):
    """As a run, with the errors of each class."""
    line = _measure_run(lab, experiment, seed)
    test = lab.parts(experiment, seed)["test"]
    logits = predict(lab.network(experiment, seed), test)
    return {**line, "errors_by_class": errors_by_class(logits, test.labels)}


def errors_by_class(logits, labels):
    """How many examples of each class are taken for another: list of ints."""
    wrong = labels[logits.argmax(axis=-1) != labels]
    return np.bincount(wrong, minlength=logits.shape[-1]).tolist()


def _measure_bias(lab, experiment, seed, *, classes, on_test=False):
    """A finished student with other biases of some classes.

    Label-free, the mean prediction for each of the classes becomes
    1 / (number of classes) over all training pictures, those included that
    its transfer set lacks; their labels are not read. `on_test` is the
    paper's way: one shift for all of the classes, by the test labels.
    """
    run = EXPERIMENTS[experiment.of]
    network = lab.network(run, seed)
    parts = lab.parts(run, seed, whole=True)
    test = parts["test"]
    began = time.perf_counter()
    logits = predict(network, test)
    if on_test:
        shift = best_shift(logits, test.labels, classes)
    else:
        prior = [1 / logits.shape[-1]] * len(classes)
        shift = class_bias.fit_class_bias(
            predict(network, parts["train"]), prior, classes=classes
        )
    class_bias.add_class_bias(network, shift)
    folder = lab.workdir / experiment.name / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    run_directory.save_keras(network, folder / "student.keras")
    exports.export_saved_model(network, folder / "savedmodel")
    by_class = errors_by_class(predict(network, test), test.labels)
    return {
        **_origin(provenance.versions()),
        "seconds": round(time.perf_counter() - began, 1),
        "errors": sum(by_class),
        "test_examples": len(test),
        "errors_by_class": by_class,
        "shift": shift.round(4).tolist(),
    }


def best_shift(logits, labels, classes):
    """The one shift of some classes' logits that makes the fewest errors.

    It reads the labels: on the test set it is the paper's choice, and no
    measure of what unseen pictures would give.

    Args:
        logits: float array `(n, num_classes)`.
        labels: int array `(n,)`.
        classes: ints.

    Returns:
        float array `(num_classes,)`, a multiple of 0.1 up to 30 either way;
        of equally good ones the smallest.
    """
    direction = np.zeros(logits.shape[-1])
    direction[list(classes)] = 1.0
    sizes = sorted(np.arange(-300, 301) / 10, key=abs)
    errors = [
        metrics.errors(logits=logits + size * direction, labels=labels)
        for size in sizes
    ]
    # Plus 0 makes 0 of -0, for who reads it.
    return sizes[int(np.argmin(errors))] * direction + 0.0


def _measure_subset(lab, experiment, seed, **overrides):
    """As a run, with the accuracy on its training set and along the way.

    `train_curve` is of each epoch's views: the accuracy, or without labels
    the agreement with the teacher.
    """
    line = _measure_run(lab, experiment, seed, **overrides)
    run_dir = lab.run_dir(experiment, seed)
    network = keras.models.load_model(run_dir.model_path, compile=False)
    train = lab.parts(experiment, seed)["train"]
    wrong = sum(errors_by_class(predict(network, train), train.labels))
    epochs = run_dir.metrics()
    return {
        **line,
        "train_examples": len(train),
        "train_errors": wrong,
        "train_curve": [
            round(epoch.get("accuracy", epoch.get("agreement")), 5)
            for epoch in epochs
        ],
        "validation_accuracies": [
            round(epoch["val_accuracy"], 5) for epoch in epochs
        ],
    }


def _measure_early_stopping(lab, experiment, seed, *, longer):
    """As a run that ends at the epoch where a longer one was best.

    Best by validation. With a constant learning rate it is the beginning of
    the longer run, in the very bits.
    """
    line = lab.result(EXPERIMENTS[longer], seed)
    accuracies = line["validation_accuracies"]
    epochs = accuracies.index(max(accuracies)) + 1
    return _measure_subset(lab, experiment, seed, **{"student.epochs": epochs})


def _measure_matching(lab, experiment, seed):
    """As a run, with what sets it apart from logit matching.

    `agreement_with_matching` is that of the two students on the test set,
    `gradient_gap` the norm of the difference of the two gradients by the
    logits of an untrained student, over the norm of logit matching's.
    """
    matching = EXPERIMENTS["matching"]
    line = _measure_run(lab, experiment, seed)
    test = lab.parts(experiment, seed)["test"]
    student, other = (
        predict(lab.network(x, seed), test) for x in (experiment, matching)
    )
    gradient, limit = (_gradient(lab, x, seed) for x in (experiment, matching))
    gap = np.linalg.norm(gradient - limit) / np.linalg.norm(limit)
    return {
        **line,
        "agreement_with_matching": metrics.agreement(
            teacher_logits=other, student_logits=student
        ),
        "gradient_gap": float(gap),
    }


def _gradient(lab, experiment, seed):
    """Of a run's loss by the logits of its student before it is trained."""
    config = lab.config(experiment, seed)
    train = lab.parts(experiment, seed)["train"]
    images = train.sample(_GRADIENT_EXAMPLES)
    teacher = loading.load_teacher(lab.teacher_path(experiment))
    keras.utils.set_random_seed(seed)
    student = networks.build_model(
        config.student.model,
        image_shape=train.image_shape,
        num_classes=train.num_classes,
        images=images,
        widths=config.student.widths,
    )
    logits = student(images)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = losses.LOSSES[config.distill.loss](
            teacher_logits=teacher(images),
            student_logits=logits,
            temperature=config.distill.temperature,
        )
    return tape.gradient(loss, logits).numpy()


def _measure_ensemble(lab, experiment, seed):
    """The members' mean on the test set; nothing is trained."""
    student = EXPERIMENTS[experiment.of]
    paths = lab.teacher_path(student).split(",")
    began = time.perf_counter()
    combined = ensemble.combine(
        [loading.load_teacher(path) for path in paths],
        mean=lab.config(student, seed).teacher.mean,
    )
    test = lab.parts(student, seed)["test"]
    logits = stages.logits_of(combined, test)
    return {
        **_origin(provenance.versions()),
        "seconds": round(time.perf_counter() - began, 1),
        "members": len(paths),
        "errors": metrics.errors(logits=logits, labels=test.labels),
        "test_examples": len(test),
    }


def _measure_specialists(lab, experiment, seed):
    """As a run, with what it changes where classes have specialists."""
    line = _measure_run(lab, experiment, seed)
    report = lab.run_dir(experiment, seed).report()
    return {
        **line,
        "class_sets": report["class_sets"],
        "by_covering": report["by_covering"]["test"],
    }


def _experiments():
    """All of them, in the order of their worth."""
    measure_bias = functools.partial(functools.partial, _measure_bias)

    def experiment(file, name, title, measure, group, **options):
        if "of" not in options:
            options.setdefault("config", f"{file}:{name}")
        return Experiment(name, group, title, measure, **options)

    def mnist(name, title, measure=_measure_run, group="mnist", **options):
        if not {"stage", "of"} & options.keys():
            options["teacher"] = "teacher"
        return experiment("paper_mnist", name, title, measure, group, **options)

    def cifar10(name, title, measure=_measure_run, group="ensemble", **options):
        return experiment(
            "paper_cifar10", name, title, measure, group, **options
        )

    yield mnist(
        "teacher",
        "teacher, 2 x 1200, dropout, max-norm, jitter of 2 pixels",
        stage="teacher",
        paper="67",
    )
    yield mnist(
        "labels",
        "student, 2 x 800, labels, no regularisation",
        stage="baseline",
        num_seeds=5,
        paper="146",
    )
    yield mnist(
        "soft_hard",
        "same student, soft targets at T = 20 and labels",
        num_seeds=5,
        paper="74",
    )
    yield mnist(
        "soft", "same student, soft targets at T = 20 alone", num_seeds=5
    )
    yield mnist("soft_jitter", "... with jitter of 2 pixels, not the paper's")
    for name, what, of_classes, figures in (
        (
            "no_threes",
            "no 3 in the transfer set",
            (3,),
            ("206, 133 of them threes", "109, 14 of them threes"),
        ),
        (
            "sevens_eights",
            "only 7 and 8 in the transfer set",
            (7, 8),
            ("4730 (47.3 %)", "1320 (13.2 %)"),
        ),
    ):
        yield mnist(name, what, _measure_classes, paper=figures[0])
        several = "biases" if len(of_classes) > 1 else "bias"
        numbers = " and ".join(map(str, of_classes))
        yield mnist(
            f"{name}_bias",
            f"... {several} of {numbers} fitted without labels",
            measure_bias(classes=of_classes),
            of=name,
        )
        yield mnist(
            f"{name}_all_biases",
            "... all biases fitted without labels",
            measure_bias(classes=tuple(range(10))),
            of=name,
        )
        yield mnist(
            f"{name}_bias_on_test",
            f"... {several} of {numbers} chosen on the test set, as the paper",
            measure_bias(classes=of_classes, on_test=True),
            of=name,
            paper=figures[1],
        )
    yield from _three_percent(mnist, "mnist")
    for name in recipes.module("paper_mnist").EXPERIMENTS:
        if name.startswith("grid_"):
            yield mnist(name, name, group="grid")
    yield mnist("matching", "logit matching", group="matching", num_seeds=1)
    for name in recipes.module("paper_mnist").EXPERIMENTS:
        if name.startswith("matching_T"):
            yield mnist(
                name,
                f"soft targets at T = {name.removeprefix('matching_T')}",
                _measure_matching,
                group="matching",
                num_seeds=1,
            )
    yield cifar10(
        "member",
        "one network on labels",
        stage="teacher",
        num_seeds=5,
        paper="58.9 % of frames right",
    )
    for mean in ("arithmetic", "geometric"):
        name = f"ensemble_{mean}"
        yield cifar10(
            f"{name}_itself",
            f"the ensemble of 5, {mean} mean",
            _measure_ensemble,
            num_seeds=1,
            of=name,
            paper="61.1 % (10 networks)",
        )
        yield cifar10(
            name,
            "one network, distilled from it without labels",
            teacher="member",
            ensemble=True,
            paper="60.8 %",
        )
    teacher = "savedmodels/cifar10_teacher"
    yield from _three_percent(cifar10, "cifar10", teacher=teacher)
    yield cifar10(
        "cifar10_3_percent_soft_mixed",
        "cifar10, ... of mixed pictures too, 400 epochs",
        _measure_subset,
        group="three_percent",
        config="paper_cifar10:three_percent_soft_mixed",
        teacher=teacher,
    )
    yield from _specialists()


def _specialists():
    def group(name, prefix, generalist, *, config, paper="-"):
        def row(suffix, title, measure=_measure_run, **options):
            return Experiment(
                f"{prefix}_{suffix}",
                name,
                title,
                measure,
                config=config,
                **options,
            )

        together = row(
            "specialists",
            "generalist and specialists together",
            _measure_specialists,
            stage="specialist",
            num_seeds=1,
            teacher=generalist,
            paper=paper,
        )
        yield together
        yield row(
            "student_of_generalist",
            "one student, distilled from the generalist alone",
            teacher=generalist,
        )
        yield row(
            "student_of_specialists",
            "one student, distilled from all together",
            teacher=together.name,
        )

    yield from group(
        "specialists",
        "cifar10",
        "savedmodels/cifar10_teacher",
        config="cifar10_specialists",
        paper="25.0 % to 26.1 % right",
    )
    yield Experiment(
        "twenty_generalist",
        "twenty",
        "the generalist, on labels",
        _measure_run,
        config="paper_twenty",
        stage="teacher",
        num_seeds=1,
    )
    yield from group(
        "twenty",
        "twenty",
        "twenty_generalist",
        config="paper_twenty",
    )


def _three_percent(experiment, data, **teacher):
    def row(name, title, measure, **options):
        options.setdefault("config", f"paper_{data}:three_percent_{name}")
        return experiment(
            f"{data}_3_percent_{name}",
            title,
            measure,
            group="three_percent",
            **options,
        )

    yield row(
        "labels",
        f"{data}, labels, to the end",
        _measure_subset,
        stage="baseline",
        paper="67.3 % train, 44.5 % test",
    )
    yield row(
        "early",
        f"{data}, labels, stopped early",
        functools.partial(
            _measure_early_stopping, longer=f"{data}_3_percent_labels"
        ),
        config=f"paper_{data}:three_percent_labels",
        stage="baseline",
        paper="",
    )
    yield row(
        "soft",
        f"{data}, soft targets, to the end",
        _measure_subset,
        **teacher,
        paper="65.4 % train, 57.0 % test",
    )


EXPERIMENTS = {x.name: x for x in _experiments()}

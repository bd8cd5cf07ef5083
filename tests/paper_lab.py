"""Small runs of the paper's experiments, for tests."""

import keras

from experiments.paper import catalogue, plan, runner

# Changed fields of all runs on MNIST, so that they take seconds, not hours.
TINY = {
    # A teacher that is no better than chance is refused.
    "teacher.widths": (32, 32),
    "teacher.epochs": 2,
    "teacher.batch_size": 64,
    "teacher.optimizer.learning_rate": 1e-2,
    "student.widths": (8, 8),
    "student.epochs": 2,
    "student.batch_size": 16,
}


def set_quick(monkeypatch, file="paper_mnist", **fields):
    """Sets what quick runs change: `TINY` and these fields."""
    changed = {**plan.QUICK, file: {**TINY, **fields}}
    monkeypatch.setattr(plan, "QUICK", changed)


def make(folder, dataset):
    """Makes a quick `runner.Lab` in a directory."""
    return runner.Lab(
        workdir=folder / "work",
        results_path=folder / "results" / "paper.jsonl",
        quick=True,
        dataset=dataset,
    )


def measure(lab, *names):
    """The results of seed 0 of several experiments."""
    return [lab.result(catalogue.EXPERIMENTS[name], 0) for name in names]


def load(path):
    return keras.models.load_model(path, compile=False)

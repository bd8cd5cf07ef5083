"""Measures runs on 3 % of the data: to the end, or stopped early."""

import keras

from experiments.paper.measures import runs


def measure(lab, experiment, seed, **overrides):
    """Measures a run, with its training accuracy and its learning curves.

    `train_curve` is over each epoch's views: the accuracy, or the agreement
    with the teacher where the student has no labels.
    """
    line = runs.measure(lab, experiment, seed, **overrides)
    run_dir = lab.run_dir(experiment, seed)
    network = keras.models.load_model(run_dir.model_path, compile=False)
    train = lab.parts(experiment, seed)["train"]
    logits = runs.predict(network, train)
    epochs = run_dir.metrics()
    return {
        **line,
        "train_examples": len(train),
        "train_errors": sum(runs.errors_by_class(logits, train.labels)),
        "train_curve": [
            round(epoch.get("accuracy", epoch.get("agreement")), 5)
            for epoch in epochs
        ],
        "validation_accuracies": [
            round(epoch["val_accuracy"], 5) for epoch in epochs
        ],
    }


def measure_early_stopping(lab, experiment, seed, *, longer):
    """Measures a run that ends at the best epoch of a longer one.

    With a constant learning rate it is bit-identical to the beginning of the
    longer run.

    Args:
        lab: `runner.Lab`.
        experiment: `catalogue.Experiment`.
        seed: int.
        longer: str, the name of the longer experiment. Its best epoch is the
            first of the highest validation accuracy.
    """
    line = lab.result(lab.experiments[longer], seed)
    accuracies = line["validation_accuracies"]
    epochs = accuracies.index(max(accuracies)) + 1
    return measure(lab, experiment, seed, **{"student.epochs": epochs})

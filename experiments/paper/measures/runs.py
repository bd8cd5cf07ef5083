"""Measures a run of the trainer, and its network class by class."""

import functools

import numpy as np

from kd_keras.evaluation import predict as prediction


def measure(lab, experiment, seed, **overrides):
    """Returns what the trainer reports about the run.

    Args:
        lab: `runner.Lab`.
        experiment: `catalogue.Experiment`.
        seed: int.
        **overrides: fields of the configuration that replace the recorded ones.
    """
    run_dir = lab.trained(experiment, seed, **overrides)
    report = run_dir.report()
    provenance = run_dir.provenance()
    line = {
        **machine(provenance["versions"]),
        "precision": provenance["precision"],
        "seconds": report["seconds"],
        "epochs": report["epochs"],
        "errors": report["test_errors"],
        "test_examples": report["test_examples"],
    }
    # A network trained on labels has no teacher to agree with.
    if report.get("agreement") is not None:
        line["agreement"] = report["agreement"]
    return line


def measure_classes(lab, experiment, seed):
    """Measures a run, with the errors of each class."""
    line = measure(lab, experiment, seed)
    test = lab.parts(experiment, seed)["test"]
    logits = predict(lab.network(experiment, seed), test)
    return {**line, "errors_by_class": errors_by_class(logits, test.labels)}


def machine(versions):
    """Commit and hardware of a result, from `provenance.versions()`."""
    return {
        "commit": versions["commit"],
        "hardware": f"{versions['processor']}, {versions['threads']} threads",
    }


def predict(network, examples):
    """Logits of a Keras model: float array `(n, num_classes)`."""
    return prediction.logits_of(
        functools.partial(network, training=False), examples
    )


def errors_by_class(logits, labels):
    """Number of wrong examples of each class: list of ints."""
    wrong = labels[logits.argmax(axis=-1) != labels]
    return np.bincount(wrong, minlength=logits.shape[-1]).tolist()

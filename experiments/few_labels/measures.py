"""Measures a finished run on the test images, and compares it."""

import keras
import numpy as np

from experiments.paper.measures import runs
from kd_keras import store
from kd_keras.evaluation import metrics, predict
from kd_keras.teachers import loading

_REPORTED = ("seconds", "epochs", "parameters", "probe")
_MEASURED = ("errors", "accuracy", "accuracy_interval", "nll", "ece")


def measure(lab, experiment, seed):
    """Trains an experiment, measures it, and compares it with its baseline.

    Args:
        lab: `runner.Lab`.
        experiment: `catalogue.Experiment`.
        seed: int.

    Returns:
        Dict of JSON values.
    """
    run_dir = lab.trained(experiment, seed)
    report = run_dir.report()
    provenance = run_dir.provenance()
    line = {
        **runs.machine(provenance["versions"]),
        "precision": provenance["precision"],
        **{key: report[key] for key in _REPORTED if key in report},
    }
    if not experiment.labels:
        # An embedding alone has no accuracy.
        return line
    logits, labels = test_logits(lab, experiment, seed), lab.dataset.test.labels
    measured = metrics.measure(logits=logits, labels=labels)
    line |= {key: measured[key] for key in _MEASURED}
    line["test_examples"] = measured["examples"]
    baseline = experiment.baseline
    if baseline:
        lab.result(baseline, seed)
        line["against_baseline"] = metrics.compare(
            logits=logits,
            other_logits=test_logits(lab, baseline, seed),
            labels=labels,
        )
    return line


def test_logits(lab, experiment, seed):
    """Logits of a finished run for the test images.

    Args:
        lab, experiment, seed: as `measure`.

    Returns:
        float32 array `(n, num_classes)`.
    """
    if experiment.stored and experiment.stage == "teacher":
        # The backbone has embedded the images already.
        head = keras.models.load_model(
            lab.run_dir(experiment, seed).model_path, compile=False
        )
        embeddings = store.LogitStore.open(lab.store_path)
        (features,) = embeddings.features(lab.dataset.test.ids, part="test")
        return np.asarray(head(features))
    teacher = loading.load_teacher(lab.exported(experiment, seed))
    return predict.logits_of(teacher, lab.dataset.test)

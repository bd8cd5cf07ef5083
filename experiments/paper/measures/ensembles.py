"""Measures several networks as one: the mean of an ensemble, specialists."""

import time

from experiments.paper.measures import runs
from kd_keras.evaluation import metrics, predict
from kd_keras.teachers import ensemble, loading
from kd_keras.utils import provenance


def measure(lab, experiment, seed):
    """Measures the mean of an ensemble's members on the test set."""
    student = lab.experiments[experiment.of]
    paths = lab.teacher_path(student).split(",")
    began = time.perf_counter()
    combined = ensemble.combine(
        [loading.load_teacher(path) for path in paths],
        mean=lab.plan.config(student, seed).teacher.mean,
    )
    test = lab.parts(student, seed)["test"]
    logits = predict.logits_of(combined, test)
    return {
        **runs.machine(provenance.versions()),
        "seconds": round(time.perf_counter() - began, 1),
        "members": len(paths),
        "errors": metrics.errors(logits=logits, labels=test.labels),
        "test_examples": len(test),
    }


def measure_specialists(lab, experiment, seed):
    """Measures specialists with their generalist, as one model.

    `by_covering` counts test examples by how many specialists cover their
    class.
    """
    line = runs.measure(lab, experiment, seed)
    report = lab.run_dir(experiment, seed).report()
    return {
        **line,
        "class_sets": report["class_sets"],
        "by_covering": report["by_coverage"]["test"],
    }

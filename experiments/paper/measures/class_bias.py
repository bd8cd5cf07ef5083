"""Measures students whose transfer set lacks classes, with corrected biases."""

import time

import numpy as np

from experiments.paper.measures import runs
from kd_keras.deployment import saved_model
from kd_keras.distillation import class_bias
from kd_keras.evaluation import metrics
from kd_keras.utils import files, provenance


def measure(lab, experiment, seed, *, classes, on_test=False):
    """Shifts the biases of some classes of a finished student and measures it.

    Without labels, each of the classes is shifted until its mean prediction
    is 1 / num_classes over all training images, also over those that the
    transfer set omits; their labels are not read.

    Args:
        lab: `runner.Lab`.
        experiment: `catalogue.Experiment`; `experiment.of` is the student's.
        seed: int.
        classes: ints, the classes to shift.
        on_test: bool; True takes the paper's way instead, one shift for all
            of the classes, chosen by the test labels.
    """
    run = lab.experiments[experiment.of]
    network = lab.network(run, seed)
    parts = lab.parts(run, seed, whole=True)
    test = parts["test"]
    began = time.perf_counter()
    logits = runs.predict(network, test)
    if on_test:
        shift = best_shift(logits, test.labels, classes)
    else:
        prior = [1 / logits.shape[-1]] * len(classes)
        shift = class_bias.fit_class_bias(
            runs.predict(network, parts["train"]), prior, classes=classes
        )
    class_bias.add_class_bias(network, shift)
    _save(network, lab.workdir / experiment.name / f"seed{seed}")
    by_class = runs.errors_by_class(runs.predict(network, test), test.labels)
    return {
        **runs.machine(provenance.versions()),
        "seconds": round(time.perf_counter() - began, 1),
        "errors": sum(by_class),
        "test_examples": len(test),
        "errors_by_class": by_class,
        "shift": shift.round(4).tolist(),
    }


def _save(network, folder):
    folder.mkdir(parents=True, exist_ok=True)
    with files.replacing_file(folder / "student.keras") as temporary:
        network.save(temporary, include_optimizer=False)
    saved_model.export_saved_model(network, folder / "savedmodel")


def best_shift(logits, labels, classes):
    """One shift of some classes' logits, the one with the fewest errors.

    It reads the labels. On the test set it is the paper's choice, and does
    not measure what unseen images would give.

    Args:
        logits: float array `(n, num_classes)`.
        labels: int array `(n,)`.
        classes: ints.

    Returns:
        float array `(num_classes,)`: a multiple of 0.1 from -30 to 30 at
        `classes`, 0 elsewhere; the smallest of equally good shifts.
    """
    direction = np.zeros(logits.shape[-1])
    direction[list(classes)] = 1.0
    sizes = sorted(np.arange(-300, 301) / 10, key=abs)
    errors = [
        metrics.errors(logits=logits + size * direction, labels=labels)
        for size in sizes
    ]
    # Adding 0 turns -0 into 0, which is easier to read.
    return sizes[int(np.argmin(errors))] * direction + 0.0

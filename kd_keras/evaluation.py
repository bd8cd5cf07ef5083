"""Is a student as good as its teacher, and better than its baseline?"""

import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras import metrics, runtimes, teachers
from kd_keras.data import datasets, pipeline, sources

SPLITS = ("test", "validation", "train")


def evaluate(
    model,
    *,
    data,
    teacher=None,
    baseline=None,
    split="test",
    temperature=4.0,
    batch_size=500,
    verbose=None,
):
    """Measures a model, beside its teacher and a baseline.

    Args:
        model: path of a SavedModel, `.keras`, `.tflite` or `.onnx` file, or a
            Keras model or callable, images -> logits.
        data: name of a set, `config.data` or a `datasets.Dataset`.
        teacher: as `model`, or None.
        baseline: as `model`, or None.
        split: `test`, `validation` or `train`. There is a `validation` set
            where `config.data.validation_examples` are held out of training.
        temperature: float > 0, that of the student's training.
        batch_size: int.
        verbose: 0, 1 or 2, as in Keras; by default a progress bar in a
            terminal.

    Returns:
        Dict of JSON values: `data`, `split`; under `models` for `model`,
        `teacher` and `baseline`, as far as given, what `metrics.measure`
        returns, with a `calibrated` one (`temperature`, `nll`, `ece`) where
        there is a validation set beside the test set; `against_teacher`
        (`metrics.compare_with_teacher`) and `against_baseline`
        (`metrics.compare`), or None.

    Raises:
        FileNotFoundError, ValueError: if a model or the data cannot be
            used, or if they do not fit together.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be > 0. Received: {temperature}")
    given = {"model": model, "teacher": teacher, "baseline": baseline}
    # Models first: they are what a typing error is likely to be in.
    classifiers = {
        role: as_classifier(value)
        for role, value in given.items()
        if value is not None
    }
    parts = load_parts(data)
    examples = part(parts, split)
    for classifier in classifiers.values():
        check_fit(classifier, examples)

    labels, logits = predict(
        classifiers, examples, batch_size=batch_size, verbose=verbose
    )
    results = {
        "data": parts["name"],
        "split": split,
        "models": {
            role: metrics.measure(logits=logits[role], labels=labels)
            for role in classifiers
        },
        "against_teacher": None,
        "against_baseline": None,
    }
    if split == "test" and "validation" in parts:
        held_out = predict(
            classifiers,
            parts["validation"],
            batch_size=batch_size,
            verbose=verbose,
        )
        for role, measured in results["models"].items():
            measured["calibrated"] = _calibrated(
                held_out[1][role], held_out[0], logits[role], labels
            )
    if teacher is not None:
        results["against_teacher"] = metrics.compare_with_teacher(
            logits=logits["model"],
            teacher_logits=logits["teacher"],
            labels=labels,
            temperature=temperature,
        )
    if baseline is not None:
        results["against_baseline"] = metrics.compare(
            logits=logits["model"],
            other_logits=logits["baseline"],
            labels=labels,
        )
    return results


def load_parts(data):
    """Returns a dict of `name`, `train` and, where there are, the others."""
    if isinstance(data, str):
        fields = config_lib.default_config().data
        fields.name = data
        data = fields
    validation_examples = 0
    if not isinstance(data, datasets.Dataset):
        validation_examples = data.validation_examples
        data = sources.load_dataset(data)
    parts = {"name": data.name, "train": data.train, "test": data.test}
    if validation_examples:
        parts["train"], parts["validation"] = datasets.split_off(
            data.train, validation_examples
        )
    return {name: part for name, part in parts.items() if part is not None}


def as_classifier(model):
    """A `runtimes.Classifier` or a function images -> logits array."""
    if isinstance(model, (str, pathlib.Path)):
        return runtimes.load(model)
    function, num_classes = teachers.logits_function(model)
    run = tf.function(function, reduce_retracing=True)

    def classifier(images):
        return run(tf.constant(images)).numpy()

    classifier.num_classes = num_classes
    classifier.path = getattr(model, "name", "a function")
    classifier.image_shape = ()
    return classifier


def check_fit(classifier, examples):
    """Raises a ValueError if a classifier is not for such examples."""
    if not examples.labelled:
        raise ValueError(
            "evaluation needs labels: pictures in one subfolder a class. "
            "Received: a flat folder"
        )
    if classifier.num_classes not in (None, examples.num_classes):
        raise ValueError(
            "models and data must have the same number of classes. Received: "
            f"{classifier.path} with {classifier.num_classes}, data with "
            f"{examples.num_classes}"
        )
    pairs = zip(classifier.image_shape, examples.image_shape)
    if any(a not in (None, b) for a, b in pairs):
        raise ValueError(
            "models and data must have the same image size. Received: "
            f"{classifier.path} with {classifier.image_shape}, data with "
            f"{tuple(examples.image_shape)} (data.image_size resizes)"
        )


def predict(
    classifiers, examples, *, batch_size=500, at_most=None, verbose=None
):
    """Asks several classifiers about every example, in one pass.

    Args:
        classifiers: dict of functions, images -> logits, by name.
        examples: `Examples` or `StreamedExamples` with labels.
        batch_size: int.
        at_most: int, examples to ask about, from the first; None for all.
        verbose: 0, 1 or 2, as in Keras; by default a progress bar in a
            terminal.

    Returns:
        `(labels, logits)`: `(n,)`, and by name `(n, num_classes)` arrays.
    """
    if verbose is None:
        verbose = 1 if sys.stdout.isatty() else 0
    count = min(len(examples), at_most or len(examples))
    progress = keras.utils.Progbar(count, verbose=verbose, unit_name="example")
    labels, rows = [], {name: [] for name in classifiers}
    batches = pipeline.evaluation_batches(examples, batch_size=batch_size)
    for images, y in batches.take(-(-count // batch_size)):
        labels.append(y.numpy())
        for name, classifier in classifiers.items():
            rows[name].append(classifier(images.numpy()))
        progress.add(len(images))
    return np.concatenate(labels)[:count], {
        name: np.concatenate(parts)[:count] for name, parts in rows.items()
    }


def part(parts, split):
    """One of `load_parts`; raises a ValueError if it is not there."""
    if split not in SPLITS:
        raise ValueError(
            f"split must be one of {', '.join(SPLITS)}. Received: {split!r}"
        )
    if split not in parts:
        hint = (
            "data.validation_examples holds some out"
            if split == "validation"
            else "there is no such part"
        )
        raise ValueError(
            f"the split must not be empty. Received: {split} of "
            f"{parts['name']} ({hint})"
        )
    return parts[split]


def _calibrated(held_out_logits, held_out_labels, logits, labels):
    temperature = metrics.calibration_temperature(
        logits=held_out_logits, labels=held_out_labels
    )
    scaled = logits / temperature
    return {
        "temperature": temperature,
        "nll": metrics.negative_log_likelihood(logits=scaled, labels=labels),
        "ece": metrics.calibration_error(
            metrics.calibration_bins(logits=scaled, labels=labels)
        ),
    }

"""Is a student as good as its teacher, and better than its baseline?"""

import pathlib
import sys

import keras
import numpy as np

from kd_keras import config as config_lib
from kd_keras.data import datasets, pipeline, sources, splits
from kd_keras.evaluation import metrics
from kd_keras.teachers import ensemble, loading
from kd_keras.teachers import teacher as teachers
from kd_keras.teachers.classifier import Classifier

SPLITS = ("test", "validation", "train")


def evaluate(
    model,
    *,
    data,
    teacher=None,
    baseline=None,
    split="test",
    temperature=config_lib.DEFAULT_TEMPERATURE,
    mean="arithmetic",
    batch_size=500,
    verbose=None,
):
    """Measures a model, beside its teacher and a baseline.

    Args:
        model: path of a SavedModel, `.keras`, `.tflite` or `.onnx` file, or a
            Keras model or callable, images -> logits; or a list of several,
            measured as their ensemble.
        data: name of a set, `config.data` or a `datasets.Dataset`.
        teacher: as `model`, or None.
        baseline: as `model`, or None.
        split: `test`, `validation` or `train`. There is a `validation` set
            where `config.data.validation_examples` are held out of training.
        temperature: float > 0, that of the student's training.
        mean: `arithmetic` or `geometric`, the mean of an ensemble's
            predictions; see `ensemble.combine`.
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
        role: as_classifier(value, mean=mean)
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


def summary(results):
    """The results of `evaluate`, as text."""
    models = results["models"]
    first = models["model"]
    count = f"{first['examples']:,} examples"
    lines = [
        "",
        f"{results['data']}, {results['split']}: {count}",
        "",
        f"{'':10}{'errors':>8}{'accuracy (95 % interval)':>28}{'NLL':>9}"
        f"{'Brier':>8}{'ECE':>8}{'adaptive':>10}",
    ]
    for role, measured in models.items():
        low, high = measured["accuracy_interval"]
        interval = f"{measured['accuracy']:.2%} ({low:.2%} to {high:.2%})"
        lines.append(
            f"{role:10}{measured['errors']:>8,}{interval:>28}"
            f"{measured['nll']:>9.4f}{measured['brier']:>8.4f}"
            f"{measured['ece']:>8.2%}{measured['adaptive_ece']:>10.2%}"
        )
    lines += ["", "class     precision  recall"]
    lines += [
        f"{i:<10}{precision:>9.2%}{recall:>8.2%}"
        for i, (precision, recall) in enumerate(
            zip(first["precision"], first["recall"])
        )
    ]
    lines += ["", *_calibration(models), *_comparisons(results)]
    return "\n".join(lines)


def load_parts(data):
    """Returns a dict of `name`, `train` and, where there are, the others."""
    if isinstance(data, str):
        fields = config_lib.default_config().data
        fields.name = data
        data = fields
    if isinstance(data, datasets.Dataset):
        return {"name": data.name, **splits.split(data, validation_examples=0)}
    dataset = sources.load_dataset(data)
    parts = splits.split(
        dataset,
        validation_examples=data.validation_examples,
        max_train_examples=data.max_train_examples,
    )
    return {"name": dataset.name, **parts}


def as_classifier(model, *, mean="arithmetic"):
    """Makes a `Classifier` of a path, a Keras model or a function.

    A list of several is one classifier, their ensemble: see
    `ensemble.combine`.
    """
    if isinstance(model, (str, pathlib.Path)):
        return loading.load_classifier(model)
    if isinstance(model, (list, tuple)):
        members = [as_classifier(member) for member in model]
        if len(members) == 1:
            return members[0]
        combined = ensemble.combine(members, mean=mean)
        return Classifier(
            lambda images: combined(images).numpy(),
            path=combined.path,
            kind=None,
            image_shape=combined.image_shape,
            num_classes=combined.num_classes,
        )
    function, num_classes = teachers.logits_function(model)
    return teachers.classifier_of(
        teachers.Teacher(
            function,
            path=getattr(model, "name", "a function"),
            image_shape=tuple(getattr(model, "input_shape", ())[1:]),
            num_classes=num_classes,
        )
    )


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


def _calibration(models):
    if "calibrated" not in models["model"]:
        return ["calibration: no validation set (--data.validation_examples)"]
    return [
        f"{role}, calibrated by T = {fitted['temperature']:.3f}: "
        f"NLL {fitted['nll']:.4f}, ECE {fitted['ece']:.2%}"
        for role, fitted in (
            (role, measured["calibrated"]) for role, measured in models.items()
        )
    ]


def _comparisons(results):
    lines = []
    teacher = results["against_teacher"]
    if teacher:
        lines.append(
            f"with the teacher: agreement {teacher['agreement']:.2%}, KL "
            f"{teacher['kl']:.4f} at T = 1 and {teacher['kl_softened']:.4f} "
            f"at T = {teacher['temperature']:g}"
        )
        if teacher["teacher_mistakes"]:
            lines.append(
                f"on the teacher's {teacher['teacher_mistakes']:,} mistakes: "
                f"the same mistake in {teacher['agreement_on_mistakes']:.2%}"
            )
    baseline = results["against_baseline"]
    if baseline:
        low, high = baseline["difference_interval"]
        verdict = "no difference that is more than chance"
        if baseline["p_value"] < 0.05:
            better = baseline["difference"] > 0
            verdict = "the model is " + ("better" if better else "worse")
        lines.append(
            f"against the baseline: {100 * baseline['difference']:+.2f} points "
            f"({100 * low:+.2f} to {100 * high:+.2f}), McNemar p = "
            f"{baseline['p_value']:.3g}: {verdict}"
        )
    return lines

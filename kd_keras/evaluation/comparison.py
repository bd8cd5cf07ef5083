"""Evaluates a model against its teacher and a baseline."""

import logging
import pathlib

import ml_collections

from kd_keras import config as config_lib
from kd_keras.data import datasets, sources, splits
from kd_keras.distillation import losses
from kd_keras.evaluation import chance, metrics, outputs, predict
from kd_keras.models import activations, image_spec
from kd_keras.models import class_names as class_name_checks
from kd_keras.teachers import ensemble, image_checks, loading
from kd_keras.teachers import teacher as teachers
from kd_keras.teachers.classifier import Classifier
from kd_keras.utils import suggestions

_log = logging.getLogger(__name__)

SPLITS = ("test", "validation", "train")


def evaluate_model(
    model,
    *,
    data,
    teacher=None,
    baseline=None,
    split="test",
    temperature=config_lib.DEFAULT_TEMPERATURE,
    mean="arithmetic",
    resize=False,
    batch_size=500,
    verbose=None,
):
    """Measures a model, and compares it with a teacher and a baseline.

    Args:
        model: path of a SavedModel or a file (`.keras`, `.tflite`, `.onnx`
            and others; see `loading.load_classifier`); a Keras model or
            callable, images -> logits; what `load_teacher` returns; or a list
            of several, measured as an ensemble. A single logit is the logit
            of class 1 of two; probabilities of softmax count as their
            logarithms.
        data: name of a dataset, `config.data` or a `datasets.Dataset`.
        teacher: like `model`, or None.
        baseline: like `model`, or None.
        split: `test`, `validation` or `train`. `validation` exists where
            `config.data.validation_examples` is set.
        temperature: float, the temperature of the student's training.
        mean: `arithmetic` or `geometric`; see `ensemble.combine`.
        resize: bool; True resizes the images for each model that takes
            another size than the data's (bilinear, antialiased), False
            refuses such a model.
        batch_size: int.
        verbose: 0, 1 or 2, as in Keras; by default 1 in a terminal, else 0.

    Returns:
        Dict of JSON values: `data`, `split`; `models`, with the results of
        `metrics.measure` by role (and `calibrated`, with `temperature`,
        `nll` and `ece`, if there are validation and test examples);
        `against_teacher` (`metrics.compare_with_teacher`) and
        `against_baseline` (`metrics.compare`), each a dict or None. Without
        labels there is `against_teacher` alone.

    Raises:
        FileNotFoundError, ValueError: if a model or the data cannot be used.
    """
    losses.check_temperature(temperature)
    # Models first: a typing error is most likely in their paths.
    classifiers = _classifiers(
        model, teacher, baseline, mean=mean, resize=resize
    )
    parts = load_parts(data)
    examples = part(parts, split)
    if not examples.labelled and teacher is None:
        raise ValueError(
            "evaluation needs labels, or a teacher for the agreement with it. "
            "Received: neither; labelled images lie in one subfolder per class"
        )
    if not examples.labelled and baseline is not None:
        raise ValueError(
            "a comparison with a baseline needs labels. Received: "
            f"{classifiers['baseline'].path} as the baseline, images without "
            "labels"
        )
    for classifier in classifiers.values():
        check_fit(
            classifier,
            examples,
            labels=examples.labelled,
            class_names=parts["class_names"],
        )
    ensemble.common_class_names(
        {x.path: x.class_names for x in classifiers.values()}
    )

    options = {"batch_size": batch_size, "verbose": verbose}
    labels, logits = _predicted(classifiers, examples, **options)
    num_classes = examples.num_classes or logits["model"].shape[-1]
    for role, values in logits.items():
        _check_classes(classifiers[role].path, values.shape[-1], num_classes)
    if labels is not None:
        _warn_of_chance(labels, logits, f"{split} images")
    results = {"data": parts["name"], "split": split}
    results |= _compared(labels, logits, temperature)
    if split == "test" and "validation" in parts:
        held_out_labels, held_out = _predicted(
            classifiers, parts["validation"], **options
        )
        for role, measured in results["models"].items():
            measured["calibrated"] = _calibrated(
                held_out[role], held_out_labels, logits[role], labels
            )
    return results


def _predicted(classifiers, examples, **options):
    """As `predict.predict`, of finite logits alone."""
    labels, logits = predict.predict(classifiers, examples, **options)
    for role, values in logits.items():
        outputs.check_finite(values, name=classifiers[role].path)
    return labels, logits


def _classifiers(model, teacher, baseline, **options):
    """The classifier of each role that is given: a dict."""
    given = {"model": model, "teacher": teacher, "baseline": baseline}
    return {
        role: as_classifier(value, **options)
        for role, value in given.items()
        if value is not None
    }


def _warn_of_chance(labels, logits, images):
    """Logs a line for each role that is no better than chance."""
    for role, values in logits.items():
        score = chance.score(logits=values, labels=labels)
        if score.no_better_than_chance:
            _log.warning(
                "%s: no better than chance: %s; its classes may be in another "
                "order than the data's",
                role,
                score.described(images),
            )


def _compared(labels, logits, temperature):
    """Each role's measures, and the model's comparisons with the others."""
    measured = {
        role: metrics.measure(logits=values, labels=labels)
        for role, values in logits.items()
        if labels is not None
    }
    against_teacher = against_baseline = None
    if "teacher" in logits:
        against_teacher = metrics.compare_with_teacher(
            logits=logits["model"],
            teacher_logits=logits["teacher"],
            labels=labels,
            temperature=temperature,
        )
    if "baseline" in logits:
        against_baseline = metrics.compare(
            logits=logits["model"],
            other_logits=logits["baseline"],
            labels=labels,
        )
    return {
        "models": measured,
        "against_teacher": against_teacher,
        "against_baseline": against_baseline,
    }


def load_parts(data):
    """Loads a dataset: its parts `train`, `validation` and `test`.

    Args:
        data: as `evaluate_model` takes it. A `datasets.Dataset` has no
            validation examples.

    Returns:
        Dict of the parts that exist, and of `name` and `class_names`, which
        may be None.

    Raises:
        ValueError: if it is none of these.
    """
    if isinstance(data, str):
        fields = config_lib.default_config().data
        fields.name = data
        data = fields
    if isinstance(data, datasets.Dataset):
        return {
            "name": data.name,
            "class_names": data.class_names,
            **splits.split(data, validation_examples=0),
        }
    if not isinstance(data, ml_collections.ConfigDict):
        raise ValueError(
            "data must be the name of a dataset, config.data, or a "
            "kd_keras.data.datasets.Dataset, which arrays fit into. Received: "
            f"{type(data).__name__}"
        )
    dataset = sources.load_dataset(data)
    parts = splits.split(
        dataset,
        validation_examples=data.validation_examples,
        max_train_examples=data.max_train_examples,
    )
    names = {"name": dataset.name, "class_names": dataset.class_names}
    return {**names, **parts}


def part(parts, split):
    """One of the parts of `load_parts`.

    Raises:
        ValueError: if `split` is unknown, or the dataset does not have it.
    """
    suggestions.check_choice(split, SPLITS, what="split")
    if split not in parts:
        names = [name for name in SPLITS if name in parts]
        hint = f"it has {', '.join(names)}"
        if not parts["train"].labelled:
            hint += (
                ", without labels, of which none are held out: evaluate with "
                "split=train"
            )
        elif split == "validation":
            hint = "data.validation_examples holds some out"
        raise ValueError(
            f"the split must not be empty. Received: {split} of "
            f"{parts['name']} ({hint})"
        )
    return parts[split]


def as_classifier(model, *, mean="arithmetic", resize=False):
    """Makes a `Classifier` of a path, a Keras model or a function.

    A list of several is one classifier, their ensemble: see
    `ensemble.combine`. `resize` makes each take images of any size; see
    `Classifier.resizing`.
    """
    if resize and not isinstance(model, (list, tuple)):
        return as_classifier(model).resizing()
    if isinstance(model, (str, pathlib.Path)):
        return loading.load_classifier(model)
    if isinstance(model, (list, tuple)):
        members = [as_classifier(member, resize=resize) for member in model]
        if len(members) == 1:
            return members[0]
        combined = ensemble.combine(list(map(_as_member, members)), mean=mean)
        return Classifier(
            lambda images: combined(images).numpy(),
            path=combined.path,
            kind=None,
            image_shape=combined.image_shape,
            num_classes=combined.num_classes,
            image_spec=combined.image_spec,
            class_names=combined.class_names,
        )
    if isinstance(model, Classifier):
        return model
    if isinstance(model, teachers.Teacher):
        return teachers.classifier_of(model)
    function, num_classes = teachers.logits_function(model)
    meaning = _meaning_of_outputs(model, num_classes)
    return teachers.classifier_of(
        teachers.Teacher(
            lambda images: teachers.as_logits(function(images), meaning),
            path=getattr(model, "name", "a function"),
            image_shape=tuple(getattr(model, "input_shape", ())[1:]),
            num_classes=num_classes,
        )
    )


def _meaning_of_outputs(model, num_classes):
    """The meaning of a model's outputs, from its layers; see `Teacher`.

    Raises:
        ValueError: if they are probabilities of several labels.
    """
    activation = activations.of_model(model)
    if activation == "sigmoid" and num_classes != 1:
        raise ValueError(
            "evaluate_model measures one class an image; use the evaluate of "
            "a Distiller for several labels. Received: "
            f"{model.name}, which ends in {num_classes} sigmoids instead of "
            "logits"
        )
    return teachers.OUTPUTS_OF.get(activation, "logits")


def _as_member(classifier):
    """The classifier, with probabilities of a batch as their logarithms."""

    def logits(images):
        values = classifier(images)
        if outputs.are_probabilities(values):
            return outputs.log_probabilities(values)
        return values

    return Classifier(
        logits,
        path=classifier.path,
        kind=classifier.kind,
        image_shape=classifier.image_shape,
        num_classes=classifier.num_classes,
        image_spec=classifier.image_spec,
        class_names=classifier.class_names,
    )


def check_fit(
    classifier, examples, *, labels=True, class_names=None, repeats_grey=False
):
    """Raises a ValueError if a classifier does not fit the examples.

    Args:
        classifier: `Classifier`.
        examples: `Examples`.
        labels: bool; whether they must have labels.
        class_names: list of str, the classes of the examples, or None.
        repeats_grey: bool, whether a classifier of colours takes grey images.
    """
    if labels and not examples.labelled:
        raise ValueError(
            "evaluation needs labels: images in one subfolder per class. "
            "Received: a flat folder"
        )
    if classifier.num_classes is not None and examples.num_classes:
        # A single logit is the logit of class 1 of two.
        num_classes = max(classifier.num_classes, 2)
        _check_classes(classifier.path, num_classes, examples.num_classes)
    class_name_checks.check_same(
        classifier.class_names, class_names, model=classifier.path
    )
    given = tuple(examples.image_shape)
    if repeats_grey and image_checks.is_repeated(given, classifier.image_shape):
        given = (*given[:2], classifier.image_shape[2])
    pairs = zip(classifier.image_shape, given)
    if any(a not in (None, b) for a, b in pairs):
        raise ValueError(
            "models and data must have the same image size and channels. "
            "Received: "
            f"{classifier.path} with {classifier.image_shape}, data with "
            f"{tuple(examples.image_shape)} (data.image_size resizes the "
            "images for all models, evaluate --resize for each)"
        )
    image_spec.check_same(
        classifier.image_spec,
        examples.image_spec,
        model=classifier.path,
        images="images of the data",
    )


def _check_classes(name, model_classes, data_classes):
    if data_classes < 2:
        raise ValueError(
            "evaluation needs data of two classes or more. Received: "
            f"{data_classes}"
        )
    if model_classes != data_classes:
        raise ValueError(
            "models and data must have the same number of classes. Received: "
            f"{name} with {model_classes}, data with {data_classes}"
        )


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

"""Measures a teacher on some images before a student learns from it.

A teacher that sees images of another range or preprocessing, or whose classes
are in another order than the data's, teaches nonsense without any error.
"""

import logging

import numpy as np
import tensorflow as tf

from kd_keras.data import datasets, splits
from kd_keras.evaluation import chance, predict
from kd_keras.teachers import answers as live
from kd_keras.teachers import wrapping
from kd_keras.training import preprocess_trials
from kd_keras.utils import source_code

_log = logging.getLogger(__name__)

# The most images that a teacher is measured on.
IMAGES = 1000
# Small, for the activations of large teachers on large images.
BATCH_SIZE = 100
# Images that the teacher sees twice.
_REPEATED = 8
# A share of the largest logit, far above the rounding of float16.
_ROUNDING = 0.01
# This many images without labels are not of one class by accident.
_MANY_IMAGES = 100
# The parts of a dataset, for readers.
NAMED = {"train": "training", "validation": "validation", "test": "test"}


def check_teacher(teacher, images, labels=None):
    """Checks a teacher on some images, as a run does before it trains.

    Some hundred images are enough. Where the teacher is poor, it is tried
    with each preprocessing that is known; see `load_teacher`.

    Args:
        teacher: as a `Distiller` takes it.
        images: array `(n, height, width, channels)`, as the teacher gets
            them.
        labels: classes `(n,)`, or None.

    Raises:
        ValueError: if the teacher is no better than chance, another
            preprocessing would be far better, or its logits are not finite,
            hardly depend on the image, or change from call to call.
    """
    teacher = wrapping.as_teacher(teacher)
    num_classes = teacher.num_classes
    if labels is not None and num_classes is None:
        num_classes = teacher(images[:1]).shape[-1]
    examples = datasets.Examples(images, labels, num_classes=num_classes)
    answers = live.LiveAnswers(lambda: teacher, record={})
    check(answers, {"train": examples})


def check(answers, parts):
    """Measures a teacher, and logs its accuracy where there are labels.

    It uses up to 1,000 validation images, or else training images: the test
    images are left for the end.

    Args:
        answers: `LiveAnswers` or `StoredAnswers` of the training examples.
        parts: dict of the parts of the dataset.

    Raises:
        ValueError: if the teacher is no better than chance, another
            preprocessing would be far better, or its logits or features
            hardly depend on the image or change from call to call.
    """
    name = "validation" if "validation" in parts else "train"
    examples = splits.spread(parts[name], IMAGES)
    seen = f"{NAMED[name]} images"
    lowest, highest = [], []
    part = answers.part(name)

    def outputs_of(ids, images):
        if not lowest:
            few = ids[:_REPEATED], 0, images[:_REPEATED]
            _check_repeatable(*(_only(part(*few))[1] for _ in "12"))
        lowest.append(float(tf.reduce_min(images)))
        highest.append(float(tf.reduce_max(images)))
        what, values = _only(part(ids, 0, images))
        return {what: values}

    labels, outputs = predict.collect(
        outputs_of,
        examples,
        labels=examples.labelled,
        batch_size=BATCH_SIZE,
        at_most=IMAGES,
        verbose=0,
    )
    shape = " x ".join(map(str, examples.image_shape))
    seen_as = f"{shape}, {min(lowest):g} to {max(highest):g}"
    _check_finite(outputs, seen)
    if "features" in outputs:
        _check_variety(outputs["features"], seen, seen_as, what="features")
        return
    logits = outputs["logits"]
    _check_count(logits, examples)
    finding = _try_others(answers.function, examples, logits, labels)
    if labels is None or len(np.unique(labels)) == 1:
        _check_variety(logits, seen, seen_as)
        _check_one_class(logits, seen, seen_as)
    if labels is not None:
        _check_score(chance.score(logits=logits, labels=labels), seen, seen_as)
    if finding:
        _log.warning("teacher: %s", finding)


def _check_count(logits, examples):
    """Refuses another number of classes, which only a call may reveal."""
    count, expected = logits.shape[-1], examples.num_classes
    if expected and count not in (1, expected):
        raise ValueError(
            "teacher and data must have the same number of classes. Received: "
            f"teacher {count}, data {expected}"
        )


def _only(answer):
    """The name and the values to check: the logits, or else the features."""
    if answer.logits is not None:
        return "logits", answer.logits
    features = answer.features[0]
    return "features", tf.reshape(features, [len(features), -1])


def _try_others(teacher, examples, logits, labels):
    """Tries other preprocessings, unless the teacher's answers are stored.

    Returns:
        `preprocess_trials.Finding`, or None.

    Raises:
        ValueError: if another one is far better.
    """
    if teacher is None or examples.image_spec.usual_range != (0, 255):
        return None
    count = min(len(examples), preprocess_trials.IMAGES)
    chosen = np.linspace(0, len(examples) - 1, count).astype(int)
    finding = preprocess_trials.find(
        teacher,
        examples.subset(chosen),
        logits=logits[chosen],
        labels=None if labels is None else labels[chosen],
    )
    # A function of one's own was chosen with care.
    if (
        finding
        and finding.is_far
        and not source_code.is_name(teacher.preprocess)
    ):
        raise ValueError(
            "a teacher must get images as in its own training. Received: "
            f"teacher.preprocess={teacher.preprocess}, but {finding} (on "
            f"{count} images)"
        )
    return finding


def _check_repeatable(logits, again):
    """Refuses a random teacher: no store or resumed run would repeat it."""
    change = float(tf.reduce_max(tf.abs(logits - again)))
    if change > _ROUNDING * float(tf.reduce_max(tf.abs(logits))):
        raise ValueError(
            "a teacher must return the same logits for the same images. "
            f"Received: logits that change by up to {change:.3g} from one call "
            "to the next; switch off its random layers, such as Dropout that "
            "is called with training=True"
        )


def _check_score(score, seen, seen_as):
    order = _described(score.other_order)
    if score.no_better_than_chance:
        reason = order or (
            f"It may expect other images than these ({seen_as}), have its "
            "classes in another order than the data, or not be trained"
        )
        raise ValueError(
            "a teacher must be better than chance on labelled images. "
            f"Received: {score.described(seen)}. {reason}"
        )
    _log.info(
        "teacher: %.1f %% right on %s %s",
        100 * score.accuracy,
        f"{score.examples:,}",
        seen,
    )
    if order:
        _log.warning("teacher: %s", order)


def _described(other_order):
    """A sentence about classes predicted as others; empty without any."""
    if not other_order:
        return ""
    first = list(other_order.items())[:3]
    examples = ", ".join(f"{label} for {other}" for label, other in first)
    more = " and so on" if len(other_order) > len(first) else ""
    return (
        "Its classes seem to be in another order than the data's: it takes "
        f"class {examples}{more}"
    )


def _check_finite(outputs, seen):
    for what, values in outputs.items():
        wrong = int(np.sum(~np.isfinite(values).all(axis=-1)))
        if wrong:
            raise ValueError(
                f"a teacher's {what} must be finite. Received: NaN or infinity "
                f"for {wrong:,} of {len(values):,} {seen}"
            )


def _check_variety(values, seen, seen_as, what="logits"):
    """Checks that outputs depend on the image, where labels cannot show it."""
    if chance.nearly_constant(values):
        raise ValueError(
            f"a teacher's {what} must depend on the image. Received: nearly "
            f"the same ones for {len(values):,} {seen}. It may expect other "
            f"images than these ({seen_as}), or not be trained"
        )


def _check_one_class(logits, seen, seen_as):
    """Warns if all images are predicted as one class."""
    top = np.unique(np.argmax(logits, axis=-1))
    if len(top) == 1 and len(logits) >= _MANY_IMAGES:
        _log.warning(
            "teacher: class %d for all of %s %s; it may expect other images "
            "than these (%s)",
            top[0],
            f"{len(logits):,}",
            seen,
            seen_as,
        )

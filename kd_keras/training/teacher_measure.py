"""Measures a teacher on some images before a student learns from it.

A teacher that sees images of another range, or whose classes are in another
order than the data's, teaches nonsense without any error.
"""

import logging

import numpy as np
import tensorflow as tf

from kd_keras.data import splits
from kd_keras.evaluation import chance, predict

_log = logging.getLogger(__name__)

# Images that a verdict is made from.
IMAGES = 1000
# Small, for the activations of large teachers on large images.
BATCH_SIZE = 100
# Images that the teacher sees twice.
_REPEATED = 8
# A share of the largest logit, far above the rounding of float16.
_ROUNDING = 0.01
# Images without labels that are not of one class by accident.
_MANY_IMAGES = 100
# The parts of a dataset, for readers.
NAMED = {"train": "training", "validation": "validation", "test": "test"}


def check(answers, parts):
    """Measures a teacher, and logs its accuracy where there are labels.

    On the validation images, else on training images, up to 1,000 of them:
    the test images are left for the end.

    Args:
        answers: `LiveAnswers` or `StoredAnswers` of the training examples.
        parts: dict of the parts of the dataset.

    Raises:
        ValueError: if the teacher is no better than chance, or its logits
            hardly depend on the image or are others at each call.
    """
    if not answers.has_logits:
        return
    name = "validation" if "validation" in parts else "train"
    examples = splits.spread(parts[name], IMAGES)
    seen = f"{NAMED[name]} images"
    lowest, highest = [], []

    def logits(ids, images):
        if not lowest:
            few = ids[:_REPEATED], 0, images[:_REPEATED]
            _check_repeatable(*(answers.part(name)(*few).logits for _ in "12"))
        lowest.append(float(tf.reduce_min(images)))
        highest.append(float(tf.reduce_max(images)))
        return {"logits": answers.part(name)(ids, 0, images).logits}

    labels, outputs = predict.collect(
        logits,
        examples,
        labels=examples.labelled,
        batch_size=BATCH_SIZE,
        at_most=IMAGES,
        verbose=0,
    )
    shape = " x ".join(map(str, examples.image_shape))
    seen_as = f"{shape}, {min(lowest):g} to {max(highest):g}"
    if labels is None or len(np.unique(labels)) == 1:
        _check_variety(outputs["logits"], seen, seen_as)
    if labels is not None:
        score = chance.score(logits=outputs["logits"], labels=labels)
        _check_score(score, seen, seen_as)


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
    """A sentence about classes that are taken for others; empty for none."""
    if not other_order:
        return ""
    first = list(other_order.items())[:3]
    examples = ", ".join(f"{label} for {other}" for label, other in first)
    more = " and so on" if len(other_order) > len(first) else ""
    return (
        "Its classes seem to be in another order than the data's: it takes "
        f"class {examples}{more}"
    )


def _check_variety(logits, seen, seen_as):
    """Checks that logits depend on the image, where no labels can tell."""
    if chance.nearly_constant(logits):
        raise ValueError(
            "a teacher's logits must depend on the image. Received: nearly "
            f"the same ones for {len(logits):,} {seen}. It may expect other "
            f"images than these ({seen_as}), or not be trained"
        )
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

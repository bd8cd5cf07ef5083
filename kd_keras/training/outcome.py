"""Judges whether the result of a stage is worthless."""

import logging

import numpy as np

from kd_keras.data import pipeline, splits
from kd_keras.evaluation import chance, predict
from kd_keras.training import teacher_measure

_log = logging.getLogger(__name__)


def warnings(stage, network):
    """The entry of a report about a worthless result.

    The network is measured on up to 1,000 labelled images. Without labels, a
    student is compared with its teacher.

    Args:
        stage: `stages.base.Stage`.
        network: Keras model, in float32, after its training.

    Returns:
        dict: `warning`, a sentence, if the network is no better than chance
        or its logits are not finite; else empty.
    """
    name = next(
        (
            name
            for name in ("test", "validation", "train")
            if name in stage.parts and stage.parts[name].labelled
        ),
        None,
    )
    if name:
        right, images = "right", f"{teacher_measure.NAMED[name]} images"
        labels, logits = _with_labels(network, stage.parts[name])
    else:
        right, images = "predicted as by the teacher", "training images"
        labels, logits = _with_teacher(network, stage)
    return warning_about(
        labels=labels, logits=logits, images=images, right=right
    )


def warning_about(*, labels, logits, images, right="right"):
    """The entry of a report about worthless logits.

    Args:
        labels: int array `(n,)`.
        logits: array `(n, num_classes)`.
        images: str, the name of the images, for the sentence.
        right: str, the words for an image whose top class is its label.

    Returns:
        dict, as `warnings`.
    """
    not_finite = ~np.isfinite(logits).all(axis=-1)
    if not_finite.any():
        return {
            "warning": f"The logits are NaN or infinite for "
            f"{not_finite.sum():,} of {len(logits):,} {images}."
        }
    score = chance.score(logits=logits, labels=labels)
    if not score.no_better_than_chance:
        return {}
    described = score.described(images, right)
    return {"warning": f"The model is no better than chance: {described}."}


def log(stage, report):
    """Logs the warning of a stage's report, if it has one."""
    if "warning" in report:
        _log.warning("%s: %s", stage.name, report["warning"])


def check(reports):
    """Raises a ValueError if a stage's result is worthless.

    Args:
        reports: list of dicts, as `runs.run` returns them.
    """
    worthless = [
        f"{report.get('model', report['stage'])}: {report['warning']}"
        for report in reports
        if "warning" in report
    ]
    if worthless:
        raise ValueError(
            "a trained model must be better than chance. Received: "
            f"{' '.join(worthless)} Its files are written; another learning "
            "rate, more epochs or more examples may help (with --restart)"
        )


def _with_labels(network, examples):
    """Labels and logits of some examples."""
    labels, outputs = predict.collect(
        lambda ids, images: {"logits": network(images, training=False)},
        splits.spread(examples, teacher_measure.IMAGES),
        labels=True,
        **_options(),
    )
    return labels, outputs["logits"]


def _with_teacher(network, stage):
    """The teacher's top classes and the logits of some training examples."""

    def both(ids, images):
        views = pipeline.make_views(
            stage.train, ids, view=0, spec=stage.view_spec
        )
        return {
            "teacher": stage.answers(ids, 0, views).logits,
            "student": network(views, training=False),
        }

    examples = splits.spread(stage.train, teacher_measure.IMAGES)
    _, outputs = predict.collect(both, examples, **_options())
    return outputs["teacher"].argmax(axis=-1), outputs["student"]


def _options():
    return {
        "batch_size": teacher_measure.BATCH_SIZE,
        "at_most": teacher_measure.IMAGES,
        "verbose": 0,
    }

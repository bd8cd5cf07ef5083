"""Compares a trained student with its baseline on the test images."""

from kd_keras.evaluation import metrics, predict
from kd_keras.teachers import loading
from kd_keras.training import publishing


def entries(stages):
    """Compares the student with the baseline, for a report.

    The exported models predict the test images again.

    Args:
        stages: list of `stages.base.Stage` that have ended.

    Returns:
        dict of JSON values: the results of `metrics.compare`, and `student`,
        `baseline` and, if it was trained, `teacher`: dicts of `examples`, the
        number of training examples, and `labelled`, whether their labels were
        used. Empty where a stage, the labels of the test images or the
        student's classifier is missing.
    """
    found = {stage.name: stage for stage in stages}
    if not {"student", "baseline"} <= found.keys():
        return {}
    chosen = {name: found[name] for name in ("student", "baseline")}
    test = chosen["student"].parts.get("test")
    if test is None or not chosen["student"].has_logits:
        return {}
    classifiers = {
        name: loading.load_classifier(publishing.export_path(stage))
        for name, stage in chosen.items()
    }
    labels, logits = predict.predict(classifiers, test, verbose=0)
    if labels is None:
        return {}
    return {
        **metrics.compare(
            logits=logits["student"],
            other_logits=logits["baseline"],
            labels=labels,
        ),
        **{
            name: {
                "examples": len(found[name].train),
                "labelled": bool(found[name].uses_labels),
            }
            for name in ("teacher", *chosen)
            if name in found
        },
    }

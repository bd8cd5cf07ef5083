"""Measures a trained network on the test set, for its report."""

from kd_keras.evaluation import metrics, predict


def test_results(network, test, *, answers=None):
    """Measures a trained network on the test set, for its report.

    Args:
        network: Keras model, images -> logits.
        test: `Examples` with labels, or None.
        answers: `LiveAnswers` or `StoredAnswers` of its teacher, or None.

    Returns:
        Dict of `test_examples`, `test_errors`, `test_accuracy`, `test_nll`
        and, with a teacher, `teacher_errors` and the `agreement` with it;
        None where no test set exists, or no answers for it.
    """
    has_teacher = answers is not None
    if has_teacher:
        # None for a store without predictions of test images.
        answers = answers.part("test")
    labels = logits = teacher_logits = None
    if test is not None:
        labels, logits, teacher_logits = predict.with_teacher(
            network, answers, test
        )
    results = test_measures(labels, logits=logits)
    if has_teacher:
        results |= {"agreement": None, "teacher_errors": None}
    if teacher_logits is not None:
        results["agreement"] = metrics.agreement(
            teacher_logits=teacher_logits, student_logits=logits
        )
        results["teacher_errors"] = metrics.errors(
            logits=teacher_logits, labels=labels
        )
    return results


def test_measures(labels, *, logits):
    """The measures of `test_results` without a teacher.

    Args:
        labels: int array `(n,)`, or None without a test set.
        logits: array `(n, num_classes)`, or None.
    """
    if labels is None:
        return {
            "test_examples": 0,
            "test_errors": None,
            "test_accuracy": None,
            "test_nll": None,
        }
    errors = metrics.errors(logits=logits, labels=labels)
    return {
        "test_examples": len(labels),
        "test_errors": errors,
        "test_accuracy": 1 - errors / len(labels),
        "test_nll": metrics.negative_log_likelihood(
            logits=logits, labels=labels
        ),
    }

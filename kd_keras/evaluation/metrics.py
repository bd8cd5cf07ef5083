"""Metrics of classifiers, from arrays of logits and labels."""

import numpy as np
from scipy import optimize, special, stats
from sklearn import metrics as sk_metrics

CONFIDENCE = 0.95
CALIBRATION_BINS = 15
_BOOTSTRAP_RESAMPLES = 9999
# Calibration temperatures are searched between e^-3 and e^3.
_LOG_TEMPERATURE_RANGE = (-3.0, 3.0)


def errors(*, logits, labels):
    """Count of examples whose top class is not the label."""
    return int(np.sum(np.argmax(logits, axis=-1) != labels))


def negative_log_likelihood(*, logits, labels):
    """Mean of `-log softmax(logits)[label]`, in nats."""
    log_probs = _log_softmax(logits)
    return float(-np.mean(log_probs[range(len(labels)), labels]))


def agreement(*, teacher_logits, student_logits):
    """Share of examples with the same top class."""
    same = np.argmax(teacher_logits, -1) == np.argmax(student_logits, -1)
    return float(np.mean(same))


def proportion_interval(count, total):
    """95 % Wilson interval of a share: `[low, high]`."""
    interval = stats.binomtest(int(count), total).proportion_ci(
        CONFIDENCE, method="wilson"
    )
    return [float(interval.low), float(interval.high)]


def brier_score(*, logits, labels):
    """Mean over examples of the squared error summed over classes, 0 to 2."""
    difference = special.softmax(_float64(logits), axis=-1)
    difference[range(len(labels)), labels] -= 1.0
    return float(np.mean(np.sum(difference**2, axis=-1)))


def calibration_bins(*, logits, labels, adaptive=False):
    """Groups examples by confidence, for the calibration error.

    Args:
        logits: `(n, num_classes)`.
        labels: `(n,)`.
        adaptive: bool; 15 bins of equally many examples, instead of 15 of
            equal width.

    Returns:
        List of dicts `count`, `confidence`, `accuracy`; no empty bins.
    """
    probs = special.softmax(_float64(logits), axis=-1)
    confidence = probs.max(axis=-1)
    right = probs.argmax(axis=-1) == labels
    if adaptive:
        order = np.argsort(confidence, kind="stable")
        members = np.array_split(order, CALIBRATION_BINS)
    else:
        # A bin is open to the left: (0, 1/15], ..., (14/15, 1].
        bins = np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1
        members = [np.flatnonzero(bins == i) for i in range(CALIBRATION_BINS)]
    return [
        {
            "count": len(chosen),
            "confidence": float(confidence[chosen].mean()),
            "accuracy": float(right[chosen].mean()),
        }
        for chosen in members
        if len(chosen)
    ]


def calibration_error(bins):
    """Expected calibration error: mean of |accuracy - confidence|, weighted.

    Reference:
        - [Guo et al., 2017](https://arxiv.org/abs/1706.04599), equation 3
    """
    counts = np.array([row["count"] for row in bins])
    gaps = [abs(row["accuracy"] - row["confidence"]) for row in bins]
    return float(np.average(gaps, weights=counts))


def calibration_temperature(*, logits, labels):
    """The temperature at which the logits' likelihood is largest.

    Fit it on examples that are in neither the training nor the test set.

    Reference:
        - [Guo et al., 2017](https://arxiv.org/abs/1706.04599), section 4.2
    """

    def loss(log_temperature):
        scaled = _float64(logits) / np.exp(log_temperature)
        return negative_log_likelihood(logits=scaled, labels=labels)

    found = optimize.minimize_scalar(
        loss, bounds=_LOG_TEMPERATURE_RANGE, method="bounded"
    )
    return float(np.exp(found.x))


def measure(*, logits, labels):
    """Measures one classifier.

    Args:
        logits: `(n, num_classes)`.
        labels: `(n,)`, ints.

    Returns:
        Dict of JSON values: `examples`, `errors`, `accuracy` with its
        `accuracy_interval`, `nll` (nats), `brier`, `ece` and `adaptive_ece`
        with the `calibration` bins, `confusion` (rows are labels), and by
        class `precision`, `recall`.
    """
    classes = range(np.shape(logits)[-1])
    predictions = np.argmax(logits, axis=-1)
    wrong = errors(logits=logits, labels=labels)
    bins = calibration_bins(logits=logits, labels=labels)
    adaptive_bins = calibration_bins(
        logits=logits, labels=labels, adaptive=True
    )
    precision, recall, _, _ = sk_metrics.precision_recall_fscore_support(
        labels, predictions, labels=classes, zero_division=0
    )
    return {
        "examples": len(labels),
        "errors": wrong,
        "accuracy": 1 - wrong / len(labels),
        "accuracy_interval": proportion_interval(
            len(labels) - wrong, len(labels)
        ),
        "nll": negative_log_likelihood(logits=logits, labels=labels),
        "brier": brier_score(logits=logits, labels=labels),
        "ece": calibration_error(bins),
        "adaptive_ece": calibration_error(adaptive_bins),
        "calibration": bins,
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "confusion": sk_metrics.confusion_matrix(
            labels, predictions, labels=classes
        ).tolist(),
    }


def compare_with_teacher(*, logits, teacher_logits, labels, temperature):
    """Compares a student with its teacher.

    Args:
        logits, teacher_logits: `(n, num_classes)`.
        labels: `(n,)`, or None.
        temperature: float > 0, the temperature of the training.

    Returns:
        Dict of `agreement`, `kl` (mean KL(teacher, student) in nats at
        T = 1), `kl_softened` (the same at `temperature`), `temperature`,
        `teacher_mistakes`, None without labels, and `agreement_on_mistakes`:
        the share of these where the student predicts the same wrong class;
        None without any.
    """
    teacher_top = np.argmax(teacher_logits, axis=-1)
    mistakes = np.zeros(len(logits), bool)
    if labels is not None:
        mistakes = teacher_top != labels
    same = np.argmax(logits, axis=-1) == teacher_top

    both = {"teacher_logits": teacher_logits, "student_logits": logits}
    return {
        "agreement": float(np.mean(same)),
        "kl": mean_kl(**both),
        "kl_softened": mean_kl(**both, temperature=temperature),
        "temperature": temperature,
        "teacher_mistakes": (None if labels is None else int(np.sum(mistakes))),
        "agreement_on_mistakes": (
            float(np.mean(same[mistakes])) if mistakes.any() else None
        ),
    }


def mean_kl(*, teacher_logits, student_logits, temperature=1.0):
    """Mean of KL(teacher, student) over examples, in nats."""
    log_p = _log_softmax(_float64(teacher_logits) / temperature)
    log_q = _log_softmax(_float64(student_logits) / temperature)
    return float(np.mean(np.sum(np.exp(log_p) * (log_p - log_q), axis=-1)))


def compare(*, logits, other_logits, labels, seed=0):
    """Compares two classifiers, example by example.

    Args:
        logits, other_logits: `(n, num_classes)`.
        labels: `(n,)`.
        seed: int, seed of the bootstrap.

    Returns:
        Dict of `only_right` and `only_other_right` (counts of examples),
        `p_value` of McNemar's exact test that both are equally likely,
        `difference` of the accuracies and its 95 % `difference_interval`
        (percentiles of 9,999 bootstrap samples of the examples).
    """
    right = np.argmax(logits, axis=-1) == labels
    other_right = np.argmax(other_logits, axis=-1) == labels
    only, only_other = (
        int(np.sum(right & ~other_right)),
        int(np.sum(other_right & ~right)),
    )
    p_value = 1.0
    if only + only_other:
        p_value = float(stats.binomtest(only, only + only_other).pvalue)
    return {
        "only_right": only,
        "only_other_right": only_other,
        "p_value": p_value,
        "difference": (only - only_other) / len(labels),
        "difference_interval": _bootstrap(only, only_other, len(labels), seed),
    }


def _bootstrap(only, only_other, total, seed):
    """The interval of the difference of two accuracies: `[low, high]`."""
    # A sample's difference follows from its counts of three kinds of examples.
    shares = np.array([only, only_other, total - only - only_other]) / total
    samples = np.random.default_rng(seed).multinomial(
        total, shares, size=_BOOTSTRAP_RESAMPLES
    )
    differences = (samples[:, 0] - samples[:, 1]) / total
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(differences, [tail, 1 - tail]).tolist()


def _float64(logits):
    return np.asarray(logits, "float64")


def _log_softmax(logits):
    return special.log_softmax(_float64(logits), axis=-1)

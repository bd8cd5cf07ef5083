"""Measures by hand."""

import numpy as np
import pytest

from kd_keras.evaluation import metrics

LOGITS = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]])
LABELS = np.array([0, 0, 1])


def test_errors_are_a_count():
    assert metrics.errors(logits=LOGITS, labels=LABELS) == 2


def test_negative_log_likelihood_by_hand():
    by_hand = (
        np.log(1 + np.exp(-2)) + np.log(1 + np.exp(1)) + np.log(1 + np.exp(2))
    ) / 3
    likelihood = metrics.negative_log_likelihood(logits=LOGITS, labels=LABELS)
    assert likelihood == pytest.approx(by_hand)


def test_a_sure_error_costs_its_logit_and_does_not_overflow():
    likelihood = metrics.negative_log_likelihood(
        logits=np.array([[1000.0, 0.0]]), labels=np.array([1])
    )
    assert likelihood == pytest.approx(1000)


def test_agreement_is_a_share():
    agreement = metrics.agreement(
        teacher_logits=LOGITS, student_logits=LOGITS[:, ::-1] * [[1], [1], [-1]]
    )
    assert agreement == pytest.approx(1 / 3)


def softmax_logits(probabilities):
    return np.log(np.array(probabilities))


def test_wilson_s_interval_by_hand():
    # 8 of 10: centre (8 + z^2 / 2) / (10 + z^2), with z = 1.959964.
    low, high = metrics.proportion_interval(8, 10)
    z = 1.959963985
    centre = (8 + z**2 / 2) / (10 + z**2)
    half = z / (10 + z**2) * np.sqrt(8 * 2 / 10 + z**2 / 4)
    assert (low, high) == pytest.approx((centre - half, centre + half))
    assert metrics.proportion_interval(10, 10)[1] == 1


def test_the_brier_score_by_hand():
    logits = softmax_logits([[0.7, 0.2, 0.1], [0.2, 0.2, 0.6]])
    score = metrics.brier_score(logits=logits, labels=np.array([0, 1]))
    by_hand = ((0.3**2 + 0.2**2 + 0.1**2) + (0.2**2 + 0.8**2 + 0.6**2)) / 2
    assert score == pytest.approx(by_hand)


def test_calibration_error_by_hand():
    # Confidences 0.9, 0.9, 0.7 in two bins: |1/2 - 0.9| and |1 - 0.7|.
    logits = softmax_logits([[0.9, 0.1], [0.1, 0.9], [0.7, 0.3]])
    bins = metrics.calibration_bins(logits=logits, labels=np.array([0, 0, 0]))
    assert [row["count"] for row in bins] == [1, 2]
    error = metrics.calibration_error(bins)
    assert error == pytest.approx((0.3 * 1 + 0.4 * 2) / 3)


def test_a_confidence_on_the_edge_is_in_the_bin_below():
    # 1.0 is in the last bin, with 0.99; three fifths end a bin of 15.
    logits = np.array([[0.0, -1000.0], [np.log(99.0), 0.0]])
    bins = metrics.calibration_bins(logits=logits, labels=np.array([0, 0]))
    assert [row["count"] for row in bins] == [2]


def test_adaptive_bins_have_equally_many():
    random = np.random.default_rng(0)
    logits = random.normal(size=(151, 4)) * 3
    labels = random.integers(0, 4, 151)
    bins = metrics.calibration_bins(logits=logits, labels=labels, adaptive=True)
    assert sorted({row["count"] for row in bins}) == [10, 11]
    confidences = [row["confidence"] for row in bins]
    assert confidences == sorted(confidences) and len(bins) == 15


@pytest.mark.parametrize("stretch", [0.5, 1.0, 3.0])
def test_the_calibration_temperature_is_that_of_the_data(stretch):
    random = np.random.default_rng(1)
    true_logits = random.normal(size=(20_000, 3)) * 2
    probs = np.exp(true_logits) / np.exp(true_logits).sum(-1, keepdims=True)
    labels = (probs.cumsum(-1) < random.random((20_000, 1))).sum(-1)
    temperature = metrics.calibration_temperature(
        logits=stretch * true_logits, labels=labels
    )
    assert temperature == pytest.approx(stretch, rel=0.05)


def test_everything_of_one_classifier():
    logits = np.eye(3)[[0, 0, 1, 2, 2]] * 4.0
    labels = np.array([0, 1, 1, 2, 2])
    measured = metrics.measure(logits=logits, labels=labels)
    assert measured["errors"] == 1 and measured["examples"] == 5
    assert measured["accuracy"] == pytest.approx(0.8)
    assert measured["accuracy_interval"] == metrics.proportion_interval(4, 5)
    # Rows are labels: one 1 was taken for a 0.
    assert measured["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 2]]
    assert measured["precision"] == [0.5, 1, 1]
    assert measured["recall"] == [1, 0.5, 1]


def test_agreement_with_the_teacher_by_hand():
    teacher = softmax_logits([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    student = softmax_logits([[0.5, 0.5], [0.2, 0.8], [0.1, 0.9]])
    labels = np.array([0, 0, 1])
    found = metrics.compare_with_teacher(
        logits=student, teacher_logits=teacher, labels=labels, temperature=2.0
    )
    assert found["agreement"] == pytest.approx(2 / 3)
    # The teacher errs in the last two; the student with it in the second.
    assert found["teacher_mistakes"] == 2
    assert found["agreement_on_mistakes"] == 0.5

    def kl(p, q):
        return np.sum(p * np.log(p / q), -1)

    p, q = np.exp(teacher), np.exp(student)
    assert found["kl"] == pytest.approx(kl(p, q).mean())
    p, q = (np.sqrt(x) / np.sqrt(x).sum(-1, keepdims=True) for x in (p, q))
    assert found["kl_softened"] == pytest.approx(kl(p, q).mean())


def predictions(right, wrong):
    """Logits of two classes whose label is 0: right ones first."""
    return np.array([[1.0, 0.0]] * right + [[0.0, 1.0]] * wrong)


def test_mcnemar_s_exact_test_by_hand():
    labels = np.zeros(20, int)
    # 6 only this one, 1 only the other: p = 2 (1 + 7) / 2^7.
    first = predictions(16, 4)
    other = np.concatenate(
        [predictions(10, 6), predictions(1, 0), predictions(0, 3)]
    )
    found = metrics.compare(logits=first, other_logits=other, labels=labels)
    assert (found["only_right"], found["only_other_right"]) == (6, 1)
    assert found["p_value"] == pytest.approx(2 * (1 + 7) / 2**7)
    assert found["difference"] == pytest.approx(5 / 20)


def test_equal_classifiers_do_not_differ():
    logits, labels = predictions(5, 5), np.zeros(10, int)
    found = metrics.compare(logits=logits, other_logits=logits, labels=labels)
    assert found["p_value"] == 1 and found["difference_interval"] == [0, 0]


def test_the_bootstrap_is_scipy_s():
    from scipy import stats

    random = np.random.default_rng(2)
    right, other_right = random.random((2, 400)) < [[0.9], [0.8]]

    def difference(a, b, axis):
        return a.mean(axis) - b.mean(axis)

    expected = stats.bootstrap(
        (right, other_right),
        difference,
        paired=True,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = metrics.compare(
        logits=np.where(right[:, None], [1, 0], [0, 1]),
        other_logits=np.where(other_right[:, None], [1, 0], [0, 1]),
        labels=np.zeros(400, int),
    )
    assert found["difference_interval"] == pytest.approx(
        list(expected), abs=0.005
    )
